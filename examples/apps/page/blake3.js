// BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) of bytes, as 64 hexadecimal digits: what rote names everything by,
// and what browsers do not have.

const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const MIXED = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const START = 1, END = 2, PARENT = 4, ROOT = 8;
const BLOCK = 64, CHUNK = 1024;

const turned = (x, n) => (x >>> n) | (x << (32 - n));

function compress(chain, words, counter, length, flags) {
  const s = new Int32Array(16);
  s.set(chain);
  s.set(IV.slice(0, 4), 8);
  s.set([counter | 0, Math.floor(counter / 2 ** 32), length, flags], 12);
  let m = words;
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 8; i++) {
      const [a, b, c, d] = MIXED[i];
      s[a] = s[a] + s[b] + m[2 * i];
      s[d] = turned(s[d] ^ s[a], 16);
      s[c] = s[c] + s[d];
      s[b] = turned(s[b] ^ s[c], 12);
      s[a] = s[a] + s[b] + m[2 * i + 1];
      s[d] = turned(s[d] ^ s[a], 8);
      s[c] = s[c] + s[d];
      s[b] = turned(s[b] ^ s[c], 7);
    }
    m = ORDER.map((i) => m[i]);
  }
  return Array.from({ length: 8 }, (_, i) => s[i] ^ s[i + 8]);
}

function wordsOf(bytes) {
  const block = new Uint8Array(BLOCK);
  block.set(bytes);
  const view = new DataView(block.buffer);
  return Array.from({ length: 16 }, (_, i) => view.getInt32(4 * i, true));
}

// What a chunk or a pair of chains comes to is known when it is known whether it is the root.
function ofChunk(bytes, counter) {
  let chain = IV;
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  for (let i = 0; i < blocks - 1; i++) {
    const block = wordsOf(bytes.subarray(i * BLOCK, (i + 1) * BLOCK));
    chain = compress(chain, block, counter, BLOCK, i === 0 ? START : 0);
  }
  const rest = bytes.subarray((blocks - 1) * BLOCK);
  const flags = END | (blocks === 1 ? START : 0);
  return (root) => compress(chain, wordsOf(rest), counter, rest.length, flags | root);
}

const ofPair = (left, right) => (root) => compress(IV, [...left, ...right], 0, BLOCK, PARENT | root);

export function blake3(bytes) {
  const chains = [];
  const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK));
  for (let i = 0; i < chunks - 1; i++) {
    let chain = ofChunk(bytes.subarray(i * CHUNK, (i + 1) * CHUNK), i)(0);
    // Of as many chunks as a power of two goes into, a subtree is complete.
    for (let n = i + 1; n % 2 === 0; n /= 2) chain = ofPair(chains.pop(), chain)(0);
    chains.push(chain);
  }
  let last = ofChunk(bytes.subarray((chunks - 1) * CHUNK), chunks - 1);
  while (chains.length) last = ofPair(chains.pop(), last(0));
  const found = new DataView(new ArrayBuffer(32));
  last(ROOT).forEach((word, i) => found.setInt32(4 * i, word, true));
  return Array.from(new Uint8Array(found.buffer), (b) => b.toString(16).padStart(2, "0")).join("");
}
