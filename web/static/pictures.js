// Images that are still being drawn: say so, and ask again when the service said.

import { sleep, wordsOf } from "./http.js";

const PAUSE_S = 3; // unless Retry-After says otherwise
const ATTEMPTS = 60;

async function isDrawn(url) {
  try {
    const answer = await fetch(url);
    if ([429, 503].includes(answer.status)) {
      await sleep(1000 * (Number(answer.headers.get("Retry-After")) || PAUSE_S));
      return { again: true };
    }
    if (!answer.ok) return { words: await wordsOf(answer) };
    await answer.blob(); // into the browser's cache
    return {};
  } catch {
    await sleep(1000 * PAUSE_S);
    return { again: true };
  }
}

function watch(image) {
  const note = document.createElement("p");
  let attempts = ATTEMPTS;

  async function retry() {
    let answer = { again: true };
    while (answer.again && attempts > 0) {
      attempts -= 1;
      answer = await isDrawn(image.src);
    }
    if (answer.words || answer.again || attempts === 0) {
      note.textContent = answer.words ?? "This image cannot be shown at present; reload the page.";
      return;
    }
    image.src = image.src; // loads it once more
  }

  function show() {
    note.remove();
    image.classList.remove("waiting");
  }

  image.classList.add("waiting");
  image.addEventListener("load", show);
  image.addEventListener("error", retry);
  if (image.alt) {
    // Thumbnails have no alternative text: what they show is written beside them.
    note.className = "loading";
    note.setAttribute("role", "status");
    note.textContent = `Loading ${image.alt.toLowerCase()} …`;
    image.before(note);
  }
  if (image.complete && image.loading !== "lazy") retry();
}

for (const image of document.querySelectorAll('img[src*="/api/v1/images/"]')) {
  if (!image.complete || image.naturalWidth === 0) watch(image);
}
