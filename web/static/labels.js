// Imports a CSV of labels and lists the refused rows.

import { post } from "./http.js";
import { count } from "./words.js";

const SHOWN = 200;

const find = (id) => document.getElementById(id);
const drop = find("drop");

async function send(file) {
  if (!file) return;
  find("taken").hidden = false;
  find("problems").replaceChildren();
  say(`Sending ${file.name} …`);
  try {
    show(await post("/api/v1/labels/csv", file, "text/csv"));
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
}

function show({ added, unchanged, problems, ignored_columns: ignored, notes }) {
  const parts = [`${count(added)} added`, `${count(unchanged)} unchanged`];
  if (problems.length) parts.push(`${count(problems.length)} rows refused`);
  if (ignored.length) parts.push(`ignored columns: ${ignored.join(", ")}`);
  say([`${parts.join(" · ")}.`, ...notes].join(" "));
  const lines = problems.slice(0, SHOWN).map(({ line, reason }) => item(`Row ${line}`, reason));
  if (problems.length > SHOWN) lines.push(item("", `and ${count(problems.length - SHOWN)} more`));
  find("problems").replaceChildren(...lines);
}

function say(words) {
  find("taken-words").textContent = words;
}

function item(place, words) {
  const line = document.createElement("li");
  const where = document.createElement("span");
  where.className = "file";
  where.textContent = place;
  line.append(where, words);
  return line;
}

find("csv")?.addEventListener("change", (event) => {
  send(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});

for (const kind of ["dragenter", "dragover"]) {
  drop?.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}

for (const kind of ["dragleave", "drop"]) {
  drop?.addEventListener(kind, () => drop.classList.remove("over"));
}

drop?.addEventListener("drop", (event) => {
  event.preventDefault();
  send(event.dataTransfer.files[0]);
});
