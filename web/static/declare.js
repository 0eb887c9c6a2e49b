// Declares files before they are sent: names, sizes, and hashes if the browser can compute them.

import { postJson } from "./http.js";

const BATCH = 1000;
const PARALLEL = 3;
const LARGEST_HASHED = 64 * 2 ** 20; // a hash needs all of a file in memory

// Browsers hash only on pages from TLS or loopback.
const canHash = Boolean(globalThis.crypto?.subtle);

// Declares {file, path} items; returns those that have not arrived as {item, upload}.
export async function declareAll(url, items, { onProgress, onTrouble, patience }) {
  const waiting = [];
  for (let start = 0; start < items.length; start += BATCH) {
    const described = await describeAll(items.slice(start, start + BATCH), onTrouble, (done) =>
      onProgress(start + done),
    );
    const files = described.map(({ declared }) => declared);
    const { uploads } = files.length ? await postJson(`${url}/uploads`, { files }, patience) : { uploads: [] };
    uploads.forEach((upload, place) => {
      if (!upload.arrived) waiting.push({ item: described[place].item, upload });
    });
  }
  return waiting;
}

async function describeAll(items, onTrouble, onProgress) {
  const described = [];
  let done = 0;
  await runParallel(PARALLEL, items.entries(), async ([place, item]) => {
    try {
      const sha256 = await hashOf(item.file);
      described[place] = { item, declared: { file: item.path, size: item.file.size, sha256 } };
    } catch {
      onTrouble(item.path, "cannot be read");
    }
    onProgress((done += 1));
  });
  return described.filter(Boolean);
}

async function hashOf(file) {
  if (!canHash || file.size > LARGEST_HASHED) return "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Run `work` on tasks, a few in parallel.
export async function runParallel(number, tasks, work) {
  const remaining = tasks[Symbol.iterator]();
  const workThroughTasks = async () => {
    for (let next = remaining.next(); !next.done; next = remaining.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: number }, workThroughTasks));
}
