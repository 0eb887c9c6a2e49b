// Sends files in batches, two at a time; shows how far it is, and what could not be sent.

import { fromDrop, fromInput, nameOf } from "./gather.js";
import { postForm, postJson } from "./http.js";
import { bytes, count, duration } from "./words.js";

const BATCH_BYTES = 8e6;
const BATCH_FILES = 50;
const PARALLEL = 2;

const find = (id) => document.getElementById(id);
const drop = find("drop");

let sending = false;

function* batches(items) {
  let batch = [];
  let size = 0;
  for (const item of items) {
    if (batch.length && (batch.length >= BATCH_FILES || size + item.file.size > BATCH_BYTES)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += item.file.size;
  }
  if (batch.length) yield batch;
}

class Upload {
  constructor(items) {
    this.items = items;
    this.total = items.reduce((sum, { file }) => sum + file.size, 0);
    this.doneBytes = 0;
    this.doneFiles = 0;
    this.underway = new Map(); // batch -> bytes sent of it
    this.trouble = [];
    this.began = performance.now();
  }

  async run(job) {
    this.url = `/api/v1/jobs/${job.id}`;
    const queue = batches(this.items);
    const lane = async () => {
      for (const batch of queue) await this.send(batch);
    };
    await Promise.all(Array.from({ length: PARALLEL }, lane));
    await postJson(`${this.url}/close`, {});
  }

  async send(batch) {
    const form = new FormData();
    for (const { file, path } of batch) form.append("files", file, path);
    const size = batch.reduce((sum, { file }) => sum + file.size, 0);
    try {
      await postForm(`${this.url}/files`, form, (sent) => this.progress(batch, Math.min(sent, size)));
    } catch (error) {
      if (batch.length > 1) return this.sendSingly(batch);
      this.trouble.push({ path: batch[0].path, words: error.message });
    }
    this.settle(batch, size);
  }

  // One file that cannot be read or is refused as a whole must not take its neighbours along.
  async sendSingly(batch) {
    this.underway.delete(batch);
    for (const item of batch) await this.send([item]);
  }

  progress(batch, sent) {
    this.underway.set(batch, sent);
    this.show();
  }

  settle(batch, size) {
    this.underway.delete(batch);
    this.doneBytes += size;
    this.doneFiles += batch.length;
    this.show();
  }

  show() {
    const sent = [...this.underway.values()].reduce((sum, part) => sum + part, this.doneBytes);
    const elapsed = (performance.now() - this.began) / 1000;
    const rate = sent / elapsed;
    const left = elapsed > 2 && rate > 0 ? ` · ${duration((this.total - sent) / rate)} left` : "";
    find("sending-bar").value = this.total ? sent / this.total : 1;
    find("sending-numbers").textContent =
      `${count(this.doneFiles)} of ${count(this.items.length)} files · ` +
      `${bytes(sent)} of ${bytes(this.total)}${left}`;
  }
}

async function start(items) {
  if (sending || items.length === 0) return;
  sending = true;
  const name = nameOf(items).slice(0, 200);
  drop.hidden = true;
  find("sending").hidden = false;
  find("sending-name").textContent = `Sending ${name}`;
  const upload = new Upload(items);
  upload.show();
  try {
    const job = await postJson("/api/v1/jobs", { name });
    await upload.run(job);
    finish(upload, `/jobs/${job.id}`);
  } catch (error) {
    upload.trouble.push({ path: name, words: error.message });
    finish(upload, upload.url ? upload.url.replace("/api/v1", "") : "/");
  }
}

function finish(upload, onward) {
  sending = false;
  if (upload.trouble.length === 0) {
    location.assign(onward);
    return;
  }
  find("onward").href = onward;
  find("trouble").hidden = false;
  find("sending-note").hidden = true;
  find("trouble-list").replaceChildren(...upload.trouble.map(line));
}

function line({ path, words }) {
  const item = document.createElement("li");
  const file = document.createElement("span");
  file.className = "file";
  file.textContent = path;
  item.append(file, words);
  return item;
}

for (const id of ["folder", "files"]) {
  find(id)?.addEventListener("change", (event) => start(fromInput(event.target)));
}

for (const kind of ["dragenter", "dragover"]) {
  drop?.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}

for (const kind of ["dragleave", "drop"]) {
  drop?.addEventListener(kind, () => drop.classList.remove("over"));
}

drop?.addEventListener("drop", async (event) => {
  event.preventDefault();
  start(await fromDrop(event.dataTransfer));
});

addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
