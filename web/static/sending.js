// Sends declared files: small ones in batches, large ones in chunks that can be gone on with.

import { canHash, inLanes, sha256Of } from "./declare.js";
import { Refused, patchBytes, postForm, sleep } from "./http.js";

const SMALL = 8 * 2 ** 20; // bytes
const CHUNK = 8 * 2 ** 20;
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_FILES = 50;
const LANES = 2;
const BUSY_MS = 2000;
const ODD_IN_FORMS = /["%\\]/;

class Changed extends Error {}

// waiting: {item, upload} of what was declared and has not arrived.
// report: {onProgress(files, bytes), onTrouble(path, words), patience}
export class Sending {
  constructor(url, waiting, report) {
    this.url = url;
    this.waiting = waiting;
    this.report = report;
    this.totalBytes = waiting.reduce((sum, { upload }) => sum + upload.size, 0);
    this.files = 0;
    this.bytes = waiting.reduce((sum, { upload }) => sum + upload.received, 0);
    this.underway = new Map(); // batch -> bytes of it that have left
  }

  async run() {
    await inLanes(LANES, batches(this.waiting), (batch) => this.send(batch));
  }

  async send(batch) {
    try {
      if (goesInChunks(batch[0])) await this.sendInChunks(batch[0]);
      else await this.sendTogether(batch);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      this.left(batch, 0);
      // One file that cannot be sent must not take its neighbours along.
      if (batch.length > 1) {
        for (const one of batch) await this.send([one]);
        return;
      }
      this.report.onTrouble(batch[0].item.path, error.message);
    }
    this.files += batch.length;
    this.show();
  }

  async sendTogether(batch) {
    const form = new FormData();
    for (const one of batch) {
      form.append("files", new Blob([await contentOf(one)]), one.upload.file);
    }
    const size = batch.reduce((sum, { upload }) => sum + upload.size, 0);
    await postForm(`${this.url}/files`, form, (sent) => this.left(batch, Math.min(sent, size)), this.report.patience);
    this.settle(batch, size);
  }

  async sendInChunks(one) {
    const { upload } = one;
    const url = `${this.url}/uploads/${upload.id}`;
    let wasThere = upload.received;
    while (!upload.arrived) {
      const chunk = await read(one.item.file.slice(upload.received, Math.min(upload.received + CHUNK, upload.size)));
      const before = upload.received;
      try {
        const onProgress = (sent) => this.left([one], sent);
        const answer = await patchBytes(url, chunk, before, onProgress, this.report.patience);
        Object.assign(upload, { received: answer.received, arrived: answer.arrived });
      } catch (error) {
        const isDamaged = error.status === 422 && wasThere > 0; // by a crash, perhaps
        if (error.offset === null || !(error.status === 409 || isDamaged)) throw error;
        if (isDamaged) wasThere = 0;
        if (error.offset === before) await sleep(BUSY_MS); // a request that broke is still at work
        upload.received = error.offset; // more had arrived than was answered, or less
      }
      this.settle([one], upload.received - before);
    }
  }

  left(batch, bytes) {
    this.underway.set(batch[0], bytes);
    this.show();
  }

  settle(batch, bytes) {
    this.underway.delete(batch[0]);
    this.bytes += bytes;
    this.show();
  }

  show() {
    const onTheWay = [...this.underway.values()].reduce((sum, part) => sum + part, 0);
    this.report.onProgress(this.files, Math.min(this.bytes + onTheWay, this.totalBytes));
  }
}

function* batches(waiting) {
  let batch = [];
  let size = 0;
  for (const one of waiting) {
    if (goesInChunks(one)) {
      yield [one];
      continue;
    }
    if (batch.length && (batch.length >= BATCH_FILES || size + one.upload.size > BATCH_BYTES)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(one);
    size += one.upload.size;
  }
  if (batch.length) yield batch;
}

// A small file that nobody here can compare with its declaration is compared by the service; one
// whose name forms write in ways that not every reader undoes alike goes by its number.
function goesInChunks({ upload }) {
  return upload.size > SMALL || (upload.sha256 !== "" && !canHash) || ODD_IN_FORMS.test(upload.file);
}

async function contentOf({ item, upload }) {
  const content = await read(item.file);
  const isSame = content.byteLength === upload.size && (!upload.sha256 || (await sha256Of(content)) === upload.sha256);
  if (!isSame) throw new Changed("has changed since it was declared");
  return content;
}

// Read here, so that a file that has gone is not taken for a connection that broke.
async function read(blob) {
  try {
    return await blob.arrayBuffer();
  } catch {
    throw new Changed("cannot be read, or has changed since it was declared");
  }
}

// The file's own; whatever else was refused (a closed job, an ended login) ends the upload.
function isTrouble(error) {
  return error instanceof Changed || (error instanceof Refused && [413, 415, 422, 500].includes(error.status));
}
