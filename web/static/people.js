// Secrets shown once: links get the portal's address; tokens and links can be copied.

for (const secret of document.querySelectorAll("[data-secret]")) {
  if (secret.hasAttribute("data-link")) secret.textContent = location.origin + secret.textContent;
  const button = secret.parentElement.querySelector("[data-copy]");
  if (!button || !navigator.clipboard) continue; // only over TLS and on loopback
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret.textContent);
    button.textContent = "Copied";
  });
}
