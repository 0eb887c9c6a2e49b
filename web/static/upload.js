// The upload panel: on the list of jobs it creates a job, on a job's page it continues with the
// declared files that have not arrived.

import { declareAll } from "./declare.js";
import { cleanPath, fromDrop, fromInput, nameOf } from "./gather.js";
import { base, getJson, postJson } from "./http.js";
import { Sending } from "./sending.js";
import { bytes, count, duration, sentence } from "./words.js";

const SAY_EVERY_MS = 10_000; // for screen readers

const find = (id) => document.getElementById(id);
const drop = find("drop");

let sending = false;

// Lets the service recognise a repeated request. Works without https, too.
function randomKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Upload {
  constructor(items, jobId) {
    this.items = items;
    this.jobId = jobId;
    this.trouble = [];
    this.said = 0;
    this.patience = { attempts: Infinity, onWait: (words) => this.wait(words) };
  }

  get url() {
    return `/api/v1/jobs/${this.jobId}`;
  }

  async run() {
    const name = nameOf(this.items).slice(0, 200);
    this.title(`Preparing ${name}`);
    const waiting = this.jobId ? await this.findMissing() : await this.createJob(name);
    this.title(`Sending ${name}`);
    await this.send(waiting);
    if (this.trouble.length === 0) await this.close();
  }

  async createJob(name) {
    const job = await postJson("/api/v1/jobs", { name, key: randomKey() }, this.patience);
    this.jobId = job.id;
    // A reload shows the job's page, where the upload can be continued.
    history.replaceState(null, "", `${base}/jobs/${job.id}`);
    return this.declare(this.items);
  }

  // Match by path and size. Unknown files are declared now: the page may have been closed before
  // all were. If nothing matches, it is the wrong folder.
  async findMissing() {
    const missing = await this.listed("missing");
    const matched = [];
    const unknown = [];
    const arrived = await this.listed("arrived");
    for (const item of this.items) {
      const known = key(cleanPath(item.path), item.file.size);
      if (missing.has(known)) matched.push({ item, upload: missing.get(known) });
      else if (!arrived.has(known)) unknown.push(item);
    }
    if (missing.size && matched.length === 0) throw new Error(noneIsMissing(this.items, missing));
    return [...matched, ...(await this.declare(unknown))];
  }

  async listed(state) {
    const found = new Map();
    for (let page = 1; page; ) {
      const answer = await getJson(`${this.url}/uploads?state=${state}&page=${page}`, this.patience);
      for (const upload of answer.uploads) found.set(key(upload.file, upload.size), upload);
      page = answer.next;
    }
    return found;
  }

  declare(items) {
    return declareAll(this.url, items, {
      onProgress: (done) => this.show(done / items.length, `${count(done)} of ${count(items.length)} files`),
      onTrouble: (path, words) => this.trouble.push({ path, words }),
      patience: this.patience,
    });
  }

  async send(waiting) {
    const sent = new Sending(this.url, waiting, {
      onProgress: (files, size) => this.progress(sent, files, size),
      onTrouble: (path, words) => this.trouble.push({ path, words }),
      patience: this.patience,
    });
    this.began = performance.now();
    this.bytesBefore = sent.bytes;
    sent.show();
    await sent.run();
  }

  async close() {
    try {
      await postJson(`${this.url}/close`, {}, this.patience);
    } catch (error) {
      if (error.status !== 409) throw error; // the job's page says what is missing
    }
  }

  progress(sent, files, size) {
    const elapsed = (performance.now() - this.began) / 1000;
    const rate = (size - this.bytesBefore) / elapsed;
    const canTell = elapsed > 2 && rate > 0 && size < sent.totalBytes;
    const left = canTell ? ` · ${duration((sent.totalBytes - size) / rate)} left` : "";
    // A large zip is unpacked before the server answers.
    const isOver = size >= sent.totalBytes && files < sent.waiting.length;
    this.show(
      sent.totalBytes ? size / sent.totalBytes : 1,
      `${count(files)} of ${count(sent.waiting.length)} files · ${bytes(size)} of ${bytes(sent.totalBytes)}`,
      isOver ? " · sent, being stored" : left,
    );
  }

  title(words) {
    find("sending-name").textContent = words;
    this.say(words);
  }

  show(share, words, left = "") {
    find("sending-bar").value = share;
    find("sending-numbers").textContent = words;
    find("sending-left").textContent = left;
    find("sending-waits").hidden = true;
    if (performance.now() - this.said > SAY_EVERY_MS) this.say(words);
  }

  wait(words) {
    const line = `${sentence(words)}; trying again. Files that arrived are kept.`;
    find("sending-waits").textContent = line;
    find("sending-waits").hidden = false;
    find("sending-left").textContent = "";
  }

  say(words) {
    this.said = performance.now();
    find("sending-said").textContent = words;
  }
}

const key = (path, size) => `${size} ${path}`;

function noneIsMissing(items, missing) {
  const [{ file }] = missing.values();
  return `None of these ${count(items.length)} files is missing from this job. Missing, for example: ${file}`;
}

async function start(items) {
  if (sending || items.length === 0) return;
  sending = true;
  drop.hidden = true;
  find("trouble").hidden = true;
  find("sending").hidden = false;
  find("sending-name").focus(); // the button is hidden now
  const upload = new Upload(items, drop.dataset.job);
  try {
    await upload.run();
  } catch (error) {
    upload.trouble.push({ path: "", words: ended(error) });
  }
  sending = false;
  if (upload.trouble.length) showTrouble(upload);
  else location.assign(`${base}/jobs/${upload.jobId}`);
}

function ended(error) {
  if (error.status === 401) return "Your session has ended. Log in again; files that arrived are kept.";
  return error.message;
}

function showTrouble({ trouble, jobId }) {
  find("sending").hidden = true;
  find("trouble").hidden = false;
  find("trouble-list").replaceChildren(...trouble.map(line));
  find("onward").hidden = !jobId;
  find("onward").href = `${base}/jobs/${jobId}`;
  find("trouble-title").focus();
}

function line({ path, words }) {
  const item = document.createElement("li");
  const file = document.createElement("span");
  file.className = "file";
  file.textContent = path;
  item.append(...(path ? [file] : []), words);
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

async function dropped(transfer) {
  let items;
  try {
    items = await fromDrop(transfer);
  } catch {
    const words = "The dropped files cannot be read. Nothing was sent.";
    return showTrouble({ trouble: [{ path: "", words }], jobId: drop.dataset.job });
  }
  return start(items);
}

drop?.addEventListener("drop", (event) => {
  event.preventDefault();
  dropped(event.dataTransfer);
});

addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
