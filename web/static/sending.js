// Sends declared files: small ones several in a request, large ones in chunks; an interrupted
// large file continues where the server has it.

import { runParallel } from "./declare.js";
import { Refused, patchBytes, sleep } from "./http.js";

const CHUNK = 8 * 2 ** 20; // bytes, of one request
const BATCH = 64; // small files
const PARALLEL = 4; // requests
const BUSY_MS = 2000;
const CHANGED = "has changed since it was declared";

class Changed extends Error {}

// waiting: {item, upload} of declared files that have not arrived.
// report: {onProgress(files, bytes), onTrouble(path, words), patience}
export class Sending {
  constructor(url, waiting, report) {
    this.url = `${url}/uploads`;
    this.waiting = waiting;
    this.report = report;
    this.totalBytes = waiting.reduce((sum, { upload }) => sum + upload.size, 0);
    this.files = 0;
    this.bytes = waiting.reduce((sum, { upload }) => sum + upload.received, 0);
    this.underway = new Map(); // batch -> bytes of its request that have left
  }

  async run() {
    await runParallel(PARALLEL, batches(this.waiting), (batch) => this.send(batch));
  }

  async send(batch) {
    await this.attempt(batch);
    this.files += batch.length;
    this.show();
  }

  async attempt(batch) {
    try {
      if (batch[0].upload.size > CHUNK) await this.sendChunks(batch);
      else await this.sendWhole(batch);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      if (batch.length === 1) this.report.onTrouble(batch[0].item.path, error.message);
      else for (const one of batch) await this.attempt([one]); // one of them is at fault
    }
  }

  async sendWhole(batch) {
    const contents = [];
    for (const { item, upload } of batch) contents.push(await readPart(item.file, upload, 0));
    const ids = batch.map(({ upload }) => upload.id);
    const { uploads } = await this.patch(batch, `?ids=${ids}`, new Blob(contents));
    uploads.forEach(({ status }, number) => {
      const { item, upload } = batch[number];
      if (status === "wrong_sha256") this.report.onTrouble(item.path, CHANGED);
      else this.bytes += upload.size - upload.received;
    });
  }

  async sendChunks(batch) {
    const [{ item, upload }] = batch;
    let mayRestart = upload.received > 0;
    while (!upload.arrived) {
      const before = upload.received;
      const chunk = new Blob([await readPart(item.file, upload, before)]);
      try {
        const answer = await this.patch(batch, `/${upload.id}`, chunk, { "Upload-Offset": before });
        Object.assign(upload, { received: answer.received, arrived: answer.arrived });
      } catch (error) {
        const isDamaged = error.status === 422 && mayRestart; // by a crash of the server, perhaps
        if (error.offset === null || !(error.status === 409 || isDamaged)) throw error;
        if (isDamaged) mayRestart = false;
        if (error.offset === before) await sleep(BUSY_MS); // an earlier request is still at work
        upload.received = error.offset; // the server has more, or less, than it answered
      }
      this.bytes += upload.received - before;
      this.show();
    }
  }

  async patch(batch, path, body, headers = {}) {
    const onProgress = (sent) => {
      this.underway.set(batch, Math.min(sent, body.size));
      this.show();
    };
    try {
      return await patchBytes(this.url + path, body, headers, onProgress, this.report.patience);
    } finally {
      this.underway.delete(batch);
    }
  }

  show() {
    const underway = [...this.underway.values()].reduce((sum, part) => sum + part, 0);
    this.report.onProgress(this.files, Math.min(this.bytes + underway, this.totalBytes));
  }
}

// A large file is a batch by itself.
function* batches(waiting) {
  let batch = [];
  let size = 0;
  for (const one of waiting) {
    if (one.upload.size > CHUNK) {
      yield [one];
      continue;
    }
    if (batch.length === BATCH || size + one.upload.size > CHUNK) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(one);
    size += one.upload.size;
  }
  if (batch.length) yield batch;
}

// Read before the request, so that a missing file is not taken for a broken connection.
async function readPart(file, upload, start) {
  if (file.size !== upload.size) throw new Changed(CHANGED);
  try {
    return await file.slice(start, start + CHUNK).arrayBuffer();
  } catch {
    throw new Changed(`cannot be read, or ${CHANGED}`);
  }
}

// The fault of these files; any other refusal (a closed job, an ended login) ends the upload.
function isTrouble(error) {
  return error instanceof Changed || (error instanceof Refused && [413, 415, 422, 500].includes(error.status));
}
