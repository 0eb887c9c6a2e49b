// Sends declared files in chunks; an interrupted file continues where the server has it.

import { inLanes } from "./declare.js";
import { Refused, patchBytes, sleep } from "./http.js";

const CHUNK = 8 * 2 ** 20; // bytes; most files are one chunk
const PARALLEL = 4; // files
const BUSY_MS = 2000;

class Changed extends Error {}

// waiting: {item, upload} of declared files that have not arrived.
// report: {onProgress(files, bytes), onTrouble(path, words), patience}
export class Sending {
  constructor(url, waiting, report) {
    this.url = url;
    this.waiting = waiting;
    this.report = report;
    this.totalBytes = waiting.reduce((sum, { upload }) => sum + upload.size, 0);
    this.files = 0;
    this.bytes = waiting.reduce((sum, { upload }) => sum + upload.received, 0);
    this.underway = new Map(); // upload -> bytes of its chunk that have left
  }

  async run() {
    await inLanes(PARALLEL, this.waiting, (one) => this.send(one));
  }

  async send({ item, upload }) {
    try {
      await this.sendChunks(item.file, upload);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      this.underway.delete(upload);
      this.report.onTrouble(item.path, error.message);
    }
    this.files += 1;
    this.show();
  }

  async sendChunks(file, upload) {
    if (file.size !== upload.size) throw new Changed("has changed since it was declared");
    let mayRestart = upload.received > 0;
    while (!upload.arrived) {
      const before = upload.received;
      const chunk = await read(file.slice(before, before + CHUNK));
      const onProgress = (sent) => {
        this.underway.set(upload, Math.min(sent, chunk.byteLength));
        this.show();
      };
      try {
        const url = `${this.url}/uploads/${upload.id}`;
        const answer = await patchBytes(url, chunk, before, onProgress, this.report.patience);
        Object.assign(upload, { received: answer.received, arrived: answer.arrived });
      } catch (error) {
        const isDamaged = error.status === 422 && mayRestart; // by a crash of the server, perhaps
        if (error.offset === null || !(error.status === 409 || isDamaged)) throw error;
        if (isDamaged) mayRestart = false;
        if (error.offset === before) await sleep(BUSY_MS); // an earlier request is still at work
        upload.received = error.offset; // the server has more, or less, than it answered
      }
      this.underway.delete(upload);
      this.bytes += upload.received - before;
      this.show();
    }
  }

  show() {
    const underway = [...this.underway.values()].reduce((sum, part) => sum + part, 0);
    this.report.onProgress(this.files, Math.min(this.bytes + underway, this.totalBytes));
  }
}

// Read before the request, so that a missing file is not taken for a broken connection.
async function read(blob) {
  try {
    return await blob.arrayBuffer();
  } catch {
    throw new Changed("cannot be read, or has changed since it was declared");
  }
}

// The fault of one file; any other refusal (a closed job, an ended login) ends the upload.
function isTrouble(error) {
  return error instanceof Changed || (error instanceof Refused && [413, 415, 422, 500].includes(error.status));
}
