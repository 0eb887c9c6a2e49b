// Lists of files on a job's page: rejected, failed and missing ones.

import { Refused, getJson } from "./http.js";
import { bytes, count } from "./words.js";

// Rejected and failed files, a page at a time. Full pages never change, so they are fetched once.
export class Reasons {
  constructor(url) {
    this.url = url;
    this.states = { rejected: { next: 1 }, failed: { next: 1 } };
    this.shown = new Set();
    this.known = -1;
    this.button = document.getElementById("more");
    this.list = document.getElementById("reasons");
    this.button.addEventListener("click", () => saying(this.list, () => this.more(this.known)));
  }

  async update(job) {
    const number = job.rejected + job.failed;
    if (number === this.known) return;
    document.getElementById("refused").hidden = number === 0;
    document.getElementById("refused-title").textContent = `Rejected or failed files (${count(number)})`;
    if (number && this.shown.size < 100) return this.more(number);
    this.seen(number);
  }

  async more(number) {
    for (const [state, place] of Object.entries(this.states)) {
      const page = await getJson(`${this.url}/images?state=${state}&page=${place.next}`);
      for (const image of page.images) this.add(image);
      if (page.next) place.next = page.next;
    }
    this.seen(number);
  }

  // Only after success, so that a failed request is repeated.
  seen(number) {
    this.known = number;
    this.button.hidden = this.shown.size >= number;
  }

  add(image) {
    if (this.shown.has(image.image_id)) return;
    this.shown.add(image.image_id);
    const item = entry(image.file, image.reason ?? image.status);
    item.dataset.code = image.reason_code ?? "";
    const same = [...this.list.children].filter((one) => one.dataset.code === item.dataset.code);
    if (same.length) same.at(-1).after(item); // grouped by the kind of reason
    else this.list.append(item);
  }
}

// A `details` element that loads its list whenever it is opened.
export function listUploads(details, url) {
  const list = details.querySelector("ul");
  const more = details.querySelector("button");
  let next = 1;

  async function show() {
    const page = await getJson(`${url}/uploads?state=${details.dataset.uploads}&page=${next}`);
    list.append(...page.uploads.map((upload) => entry(upload.file, howFar(upload))));
    next = page.next;
    more.hidden = !next;
  }

  async function ask() {
    const isThere = await saying(list, show);
    if (!isThere) more.hidden = false;
  }

  details.addEventListener("toggle", () => {
    if (!details.open) return;
    list.replaceChildren();
    next = 1;
    ask();
  });
  more.addEventListener("click", ask);
}

// An error is shown at the end of the list until a request succeeds.
async function saying(list, ask) {
  list.querySelector(".caution")?.remove();
  try {
    await ask();
  } catch (error) {
    const item = document.createElement("li");
    item.className = "caution";
    item.textContent = `The list could not be loaded: ${error instanceof Refused ? error.message : "the service does not respond"}.`;
    list.append(item);
    return false;
  }
  return true;
}

function howFar({ received, size }) {
  return received ? `${bytes(received)} of ${bytes(size)} arrived` : bytes(size);
}

function entry(name, words) {
  const item = document.createElement("li");
  const file = document.createElement("span");
  file.className = "file";
  file.textContent = name;
  item.append(file, words);
  return item;
}
