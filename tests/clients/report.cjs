// What every script here shares: it is given one JSON argument, and prints one JSON report of what the client saw.
"use strict";

/** Run `work(given)` and print what it returns; an error ends the program with its stack. */
exports.report = (work) => {
  work(JSON.parse(process.argv[2])).then(
    (seen) => process.stdout.write(JSON.stringify(seen)),
    (error) => { process.stderr.write(`${(error && error.stack) || JSON.stringify(error)}\n`); process.exitCode = 1; },
  );
};

/** Return the status of a request that is to be refused (or the problem, from a client that keeps no status); null if it is not refused. */
exports.refusal = (promise) => promise.then(() => null, refused);

function refused(error) {
  if (error.response) return error.response.status;
  if (error.status) return error.status;
  return error instanceof Error ? JSON.parse(error.message) : error;
}
