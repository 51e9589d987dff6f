// Make an archive of files with one of the JavaScript libraries, the way its documentation shows.
//
//   node make.mjs PRODUCER TARGET NAME...     (the files, from the folder where it is started)
//
// From buffers a library can know CRC and sizes before it writes an entry; from streams it cannot.

import { createReadStream, createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

const PIECE = 10_000; // bytes: a frame comes in several

const [producer, target, ...names] = process.argv.slice(2);
const files = await Promise.all(
  names.map(async (name) => ({
    name,
    bytes: await readFile(name),
    stream: () => createReadStream(name, { highWaterMark: PIECE }),
  })),
);
const save = (readable) => pipeline(readable, createWriteStream(target));

async function jszip(options) {
  const { default: JSZip } = await import("jszip");
  const zip = new JSZip();
  for (const { name, bytes } of files) zip.file(name, bytes);
  await save(zip.generateNodeStream({ type: "nodebuffer", ...options }));
}

async function fflateAtOnce(level) {
  const { zipSync } = await import("fflate");
  await writeFile(target, zipSync(Object.fromEntries(files.map(({ name, bytes }) => [name, bytes])), { level }));
}

/** `entryOf` makes one of fflate's streams for an entry, from its name. */
async function fflatePieces(entryOf) {
  const fflate = await import("fflate");
  const output = [];
  const zip = new fflate.Zip((error, piece) => {
    if (error) throw error;
    output.push(piece);
  });
  for (const { name, stream } of files) {
    const entry = entryOf(fflate, name);
    zip.add(entry);
    for await (const piece of stream()) entry.push(piece);
    entry.push(new Uint8Array(0), true);
  }
  zip.end();
  await writeFile(target, Buffer.concat(output));
}

/** `inputOf` makes what the library reads a file from. */
async function clientZip(inputOf) {
  const { downloadZip } = await import("client-zip");
  await save(Readable.fromWeb(downloadZip(files.map((file) => ({ name: file.name, input: inputOf(file) }))).body));
}

async function zipJs(options) {
  const { BlobReader, BlobWriter, ZipWriter } = await import("@zip.js/zip.js");
  const zip = new ZipWriter(new BlobWriter("application/zip"), options);
  for (const { name, bytes } of files) await zip.add(name, new BlobReader(new Blob([bytes])));
  await writeFile(target, (await zip.close()).stream());
}

async function zipJsStreams(options) {
  const { ZipWriter } = await import("@zip.js/zip.js");
  const zip = new ZipWriter(Writable.toWeb(createWriteStream(target)), options);
  for (const { name, stream } of files) await zip.add(name, Readable.toWeb(stream()));
  await zip.close();
}

async function archiver(options, inputOf) {
  const { ZipArchive } = await import("archiver");
  const zip = new ZipArchive(options);
  for (const file of files) zip.append(inputOf(file), { name: file.name });
  await Promise.all([save(zip), zip.finalize()]);
}

/** `add` hands one file over. */
async function yazl(add, options = {}) {
  const { default: { ZipFile } } = await import("yazl");
  const zip = new ZipFile();
  for (const file of files) add(zip, file);
  zip.end(options);
  await save(zip.outputStream);
}

const bytesOf = (file) => file.bytes;
const streamOf = (file) => file.stream();

const makers = {
  "jszip": () => jszip({}),
  "jszip-stream": () => jszip({ streamFiles: true }),
  "jszip-deflate": () => jszip({ compression: "DEFLATE" }),
  "jszip-deflate-stream": () => jszip({ compression: "DEFLATE", streamFiles: true }),
  "fflate-0": () => fflateAtOnce(0),
  "fflate-6": () => fflateAtOnce(6),
  "fflate-pass-through": () => fflatePieces((fflate, name) => new fflate.ZipPassThrough(name)),
  "fflate-deflate-0": () => fflatePieces((fflate, name) => new fflate.ZipDeflate(name, { level: 0 })),
  "fflate-deflate-6": () => fflatePieces((fflate, name) => new fflate.ZipDeflate(name, { level: 6 })),
  "client-zip": () => clientZip(bytesOf),
  "client-zip-stream": () => clientZip((file) => Readable.toWeb(file.stream())),
  "zipjs-0": () => zipJs({ level: 0 }),
  "zipjs-6": () => zipJs({ level: 6 }),
  "zipjs-0-stream": () => zipJsStreams({ level: 0 }),
  "zipjs-6-stream": () => zipJsStreams({ level: 6 }),
  "zipjs-0-plain": () => zipJs({ level: 0, dataDescriptor: false }),
  "zipjs-6-zip64": () => zipJsStreams({ level: 6, zip64: true }),
  "archiver-store": () => archiver({ store: true }, bytesOf),
  "archiver-deflate": () => archiver({ zlib: { level: 6 } }, bytesOf),
  "archiver-store-stream": () => archiver({ store: true }, streamOf),
  "archiver-deflate-stream": () => archiver({ zlib: { level: 6 } }, streamOf),
  "archiver-zip64": () => archiver({ store: true, forceZip64: true }, streamOf),
  "yazl-store": () => yazl((zip, { bytes, name }) => zip.addBuffer(bytes, name, { compress: false })),
  "yazl-deflate": () => yazl((zip, { bytes, name }) => zip.addBuffer(bytes, name)),
  "yazl-store-stream": () => yazl((zip, { stream, name }) => zip.addReadStream(stream(), name, { compress: false })),
  "yazl-deflate-stream": () => yazl((zip, { stream, name }) => zip.addReadStream(stream(), name)),
  "yazl-zip64": () =>
    yazl((zip, { stream, name }) => zip.addReadStream(stream(), name, { compress: false, forceZip64Format: true }), {
      forceZip64Format: true,
    }),
};

await makers[producer]();
