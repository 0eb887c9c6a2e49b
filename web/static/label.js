// Gives labels by key or click. They are sent in turn; leaving the page waits for the last one.

import { getText, postJson } from "./http.js";

const panel = document.getElementById("labels");
const buttons = [...(panel?.querySelectorAll("[data-label]") ?? [])];
const state = document.getElementById("label-state");

let saving = null; // the last request; resolves to whether the label was saved
let isLost = false; // a label was not saved, and the reader knows

function give(button) {
  const before = saving ?? Promise.resolve();
  const mine = before.then(() => save(button)).finally(() => {
    if (saving === mine) saving = null;
  });
  saving = mine;
}

async function save(button) {
  const image = Number(panel.dataset.image);
  say("Saving …", "muted");
  try {
    await postJson("/api/v1/labels", { labels: [{ image_id: image, label: button.dataset.label }] });
    for (const one of buttons) one.setAttribute("aria-pressed", one === button);
    // Ours, from the page's own template.
    document.getElementById("label-list").innerHTML = await getText(`/labels/images/${image}`);
  } catch (error) {
    isLost = true;
    say(`Not saved: ${error.message}`, "caution");
    return false;
  }
  isLost = false;
  say("Saved.", "muted");
  return true;
}

function say(words, kind) {
  state.className = `small ${kind}`;
  state.textContent = words;
}

for (const button of buttons) button.addEventListener("click", () => give(button));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = buttons.find((one) => one.dataset.key === event.key);
  if (!button) return;
  event.preventDefault();
  give(button);
});

// Links wait until the label is saved. If that fails, the page stays and says so; a second click
// leaves it.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || !(saving || isLost)) return;
  event.preventDefault();
  await saving;
  if (!isLost) return location.assign(link.href);
  isLost = false;
  state.append(" Click again to leave without saving.");
});

addEventListener("beforeunload", (event) => {
  if (saving) event.preventDefault();
});
