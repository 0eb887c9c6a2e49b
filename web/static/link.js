// One-time links: the token is in the fragment, which is not sent; a form posts it.

const token = location.hash.slice(1);

function send() {
  const form = document.getElementById("link");
  history.replaceState(null, "", location.pathname + location.search); // not kept in the history
  form.elements.token.value = token;
  form.submit();
}

// A page that is only rendered in advance must not use up the link.
if (token && document.prerendering) document.addEventListener("prerenderingchange", send, { once: true });
else if (token) send();
