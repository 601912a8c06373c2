// Follows an alias of a model that was published in a bucket or folder, with `fetch` alone (docs/format.md, 10.4, 10.9 and
// 10.10). What is taken was verified completely; what was taken last is kept in the browser, and served while something is
// wrong.

import { blake3 } from "./blake3.js";

const LONGEST_DOCUMENT = 4096;
const LONGEST_MANIFEST = 64 << 20;
const MOST_KEYS = 8;
const MOST_SIGNATURES = 8;

export class Model {
  // `from` is the address; `files` are the paths wanted; `keys` are public keys (ed25519:…), one of which must have signed.
  // They count until a document that one of them signed names others.
  constructor(from, name, { alias = "prod", files, keys = [] }) {
    this.from = new URL(from.endsWith("/") ? from : `${from}/`, document.baseURI).href;
    this.name = name;
    this.alias = alias;
    this.wanted = files;
    this.keys = keys;
    this.place = `rote:${this.from}${name}@${alias}`;
    this.version = null;
    this.problem = null;
    this.stale = false;
    this.bytes = new Map();
  }

  // Take what was in use last, without asking anybody. True if there is something.
  async recall() {
    const { seen, using } = this.#remembered();
    if (!using) return false;
    const bytes = new Map();
    for (const file of using.files) {
      const kept = await (await this.#kept()).match(this.#slot(file));
      if (!kept) return false;
      const data = new Uint8Array(await kept.arrayBuffer());
      if ((await sha256(data)) !== file.kept) return false;
      bytes.set(file.path, data);
    }
    [this.version, this.bytes, this.stale] = [using.version, bytes, past(seen?.expires)];
    return true;
  }

  // Look for a newer version; true if the version in use changed. What is wrong stands in `problem`.
  async refresh() {
    try {
      const changed = await this.#look();
      this.problem = null;
      return changed;
    } catch (error) {
      this.problem = error.message;
      this.stale = past(this.#remembered().seen?.expires);
      return false;
    }
  }

  async #look() {
    const { json, document } = await this.#document();
    const { seen, using } = await this.#known();
    if (this.keys.length) await this.#signed(document, json, seen?.trusted?.length ? seen.trusted : this.keys);
    const said = [document.version, document.snapshot.id].join(" ");
    const reached = Math.max(seen?.seq ?? 0, using?.seq ?? 0);
    if (document.seq < reached) throw new Error(`an older state (${document.seq}, after ${reached}) is shown`);
    if (seen && document.seq === seen.seq && (said !== seen.said || document.expires !== seen.expires)) {
      throw new Error(`move ${seen.seq} says something else now`);
    }
    this.stale = past(document.expires);
    if (this.stale && !using) throw new Error("what is shown has expired");
    // Written down before anything is taken: from now on nothing older is, and the keys that it names count.
    const now = {
      seq: document.seq,
      said,
      expires: document.expires,
      json,
      shipped: this.keys,
      trusted: this.keys.length ? (named(document) ?? seen?.trusted ?? []) : [],
    };
    const settled = using && using.said === said && this.version === using.version;
    this.#remember({ seen: now, using: settled ? { ...using, seq: document.seq } : using });
    if (settled) return false;
    const files = await this.#files(document);
    const bytes = new Map(files.map((file) => [file.path, file.data]));
    const kept = files.map(({ path, digest, kept }) => ({ path, digest, kept }));
    this.#remember({ seen: now, using: { said, seq: document.seq, version: document.version, files: kept } });
    await this.#forget(new Set([...kept, ...(using?.files ?? [])].map((file) => this.#slot(file))));
    [this.version, this.bytes] = [document.version, bytes];
    return true;
  }

  async #document() {
    // Small enough to be read whole each time: a server may date what it has by the second only, and an alias that was
    // moved twice within one would then seem unchanged for ever.
    const data = await this.#get(`models/${this.name}/aliases/${this.alias}`, LONGEST_DOCUMENT, "no-store");
    const [json, check, end] = new TextDecoder("utf-8", { fatal: true }).decode(data).split("\n");
    if (end !== "" || check !== `blake3:${blake3(new TextEncoder().encode(json))}`) throw new Error("the channel is damaged");
    const document = JSON.parse(json);
    if (document.format > 1) throw new Error(`the channel has format ${document.format}; this page reads 1`);
    if (document.model !== this.name || document.alias !== this.alias) throw new Error("this is the channel of another model");
    if (!document.manifest) throw new Error("nothing is published here: this is a store");
    return { json, document };
  }

  // What was seen last, with the keys that count since. A page that is shipped with other keys than before begins anew with
  // those; what it had accepted still counts if they had signed it, and its number in any case if it was put in use.
  async #known() {
    const { seen, using } = this.#remembered();
    const numbered = using && { ...using, seq: using.seq ?? seen?.seq };
    if (!seen || same(seen.shipped, this.keys)) return { seen, using: numbered };
    try {
      const document = JSON.parse(seen.json);
      if (this.keys.length) await this.#signed(document, seen.json, this.keys);
      return { seen: { ...seen, trusted: named(document) ?? [] }, using: numbered };
    } catch {
      return { seen: undefined, using: numbered };
    }
  }

  async #signed(document, json, trusted) {
    if (canonical(document) !== json) throw new Error("the channel is not in canonical form");
    // Where a store keeps the version is not part of what is signed: a copy may keep it elsewhere.
    const { signatures = [], ...rest } = { ...document, snapshot: { ...document.snapshot, txn: undefined } };
    const said = new TextEncoder().encode(canonical(rest));
    for (const text of trusted) {
      const raw = publicKey(text);
      const id = blake3(raw).slice(0, 16);
      const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
      for (const each of signatures.slice(0, MOST_SIGNATURES)) {
        if (each.key === id && (await crypto.subtle.verify("Ed25519", key, fromBase64(each.signature), said))) return;
      }
    }
    throw new Error("the channel is signed by nobody whom this page trusts");
  }

  async #files(document) {
    const below = `models/${this.name}/published/${document.version}/`;
    const { size, digest } = document.manifest;
    const data = await this.#get(`${below}rote-manifest.json`, Math.min(size, LONGEST_MANIFEST));
    if (data.length !== size || blake3(data) !== digest) throw new Error("the manifest is not what the channel names");
    const manifest = JSON.parse(new TextDecoder().decode(data));
    if (manifest.version !== document.version || manifest.model !== this.name) throw new Error("this is another manifest");
    return Promise.all(this.wanted.map((path) => this.#file(manifest, path, below)));
  }

  async #file(manifest, path, below) {
    const file = manifest.files.find((each) => each.path === path);
    if (!file) throw new Error(`${manifest.version} has no file ${path}`);
    const store = await this.#kept();
    const here = await store.match(this.#slot(file));
    if (here) {
      const data = new Uint8Array(await here.arrayBuffer());
      const kept = await sha256(data);
      if (file.assets.length === 1 && kept === file.assets[0].sha256) return { ...file, data, kept };
    }
    const parts = [];
    for (const asset of file.assets) {
      const address = below + asset.name.split("/").map(encodeURIComponent).join("/");
      const part = await this.#get(address, asset.size);
      if (part.length !== asset.size || (await sha256(part)) !== asset.sha256) {
        throw new Error(`${asset.name} is not what the manifest names`);
      }
      parts.push(part);
    }
    const data = new Uint8Array(await new Blob(parts).arrayBuffer());
    if (data.length !== file.size) throw new Error(`${path} is not as long as the manifest says`);
    await store.put(this.#slot(file), new Response(data));
    return { ...file, data, kept: await sha256(data) };
  }

  // At most `cap` bytes: whoever sends more is cut off. The browser asks whether what it has is still right.
  async #get(path, cap, cache = "no-cache") {
    const reply = await fetch(this.from + path, { cache, credentials: "omit", redirect: "follow" });
    if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
    const parts = [];
    let length = 0;
    const reader = reply.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      length += next.value.length;
      if (length > cap) {
        await reader.cancel();
        throw new Error(`${path} is longer than it may be`);
      }
      parts.push(next.value);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  #kept() {
    return caches.open(this.place);
  }

  #slot(file) {
    return `https://digest.invalid/${file.digest}`;
  }

  async #forget(except) {
    const store = await this.#kept();
    for (const request of await store.keys()) {
      if (!except.has(request.url)) await store.delete(request);
    }
  }

  #remembered() {
    return JSON.parse(localStorage.getItem(this.place) ?? "{}");
  }

  #remember(state) {
    localStorage.setItem(this.place, JSON.stringify(state));
  }

  // Look again and again: every `seconds`, by chance up to a fifth sooner or later, and up to an hour apart in trouble.
  watch(callback, seconds) {
    let wait = seconds;
    const next = () => setTimeout(look, 1000 * wait * (0.8 + 0.4 * Math.random()));
    const look = async () => {
      await callback(await this.refresh());
      wait = this.problem ? Math.min(3600, 2 * wait) : seconds;
      next();
    };
    next();
  }
}

const past = (when) => Boolean(when) && Date.parse(when) < Date.now();

async function sha256(bytes) {
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(found, (b) => b.toString(16).padStart(2, "0")).join("");
}

function publicKey(text) {
  let raw = [];
  try {
    raw = fromBase64(text.slice("ed25519:".length));
  } catch {
    // told below, like one that is too short
  }
  if (!text.startsWith("ed25519:") || raw.length !== 32) throw new Error(`not a public key: ${text.slice(0, 60)}`);
  return raw;
}

// The keys that count once a document was accepted, where it names any.
function named(document) {
  if (!document.keys?.length) return null;
  document.keys.forEach(publicKey);
  if (document.keys.length > MOST_KEYS) throw new Error(`the channel names more than ${MOST_KEYS} keys`);
  return document.keys;
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${keys.sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}
