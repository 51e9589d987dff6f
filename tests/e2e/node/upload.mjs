// Upload one file with tus-js-client, as the task in the first argument says, and print what became of it as JSON.
//
// task: { file, source: "file" | "buffer" | "stream", store?, resume?, leaveAt?, terminateAt?, options }
//   source       the file (read from wherever it resumes), a buffer of it, or a stream (read once: it takes a chunkSize)
//   store        a path where upload URLs are kept between processes
//   resume       go on with the upload that the store knows
//   leaveAt      end the process, as a crash would, once so many bytes were accepted
//   terminateAt  abort and delete the upload once so many bytes were accepted
//   options      of tus.Upload
// prints: { url, outcome: "success" | "error" | "left" | "terminated", error, accepted, requests: ["PATCH 204", …] }

import { createReadStream, readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import * as tus from "tus-js-client";

const task = JSON.parse(process.argv[2]);
const requests = [];
let accepted = 0;

function report(outcome, error = null) {
  process.stdout.write(JSON.stringify({ url: upload.url, outcome, error, accepted, requests }), () => process.exit(0));
}

function describe(error) {
  const response = error.originalResponse;
  return { message: error.message, status: response?.getStatus() ?? null, body: response?.getBody() ?? null };
}

const sources = {
  file: () => createReadStream(task.file),
  buffer: () => readFileSync(task.file),
  stream: () => createReadStream(task.file).pipe(new PassThrough()),
};
const upload = new tus.Upload(sources[task.source](), {
  retryDelays: null,
  ...task.options,
  ...(task.store && { urlStorage: new tus.FileUrlStorage(task.store) }),
  onAfterResponse(request, response) {
    requests.push(`${request.getMethod()} ${response.getStatus()}`);
  },
  onChunkComplete(_size, bytesAccepted) {
    accepted = bytesAccepted;
    if (task.leaveAt && accepted >= task.leaveAt) report("left");
    if (task.terminateAt && accepted >= task.terminateAt) {
      upload.abort(true).then(() => report("terminated"), (error) => report("error", describe(error)));
    }
  },
  onSuccess: () => report("success"),
  onError: (error) => report("error", describe(error)),
});

if (task.resume) {
  const [previous] = await upload.findPreviousUploads();
  if (!previous) throw new Error("the store knows no upload of this file");
  upload.resumeFromPreviousUpload(previous);
}
upload.start();
