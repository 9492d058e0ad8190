// Loaded into Azurite's process before Azurite (`node --require`). Two changes, both of what Azurite has no option for:
//
// 1. A change is on disk before the client hears of it. Azurite keeps its metadata in LokiJS, saved every 5 seconds, so
//    kill -9 would lose acknowledged blobs. Here the answer to every writing request waits for a save (LokiJS gathers the
//    requests that wait meanwhile into the next one; a save writes a new file and renames it).
// 2. Accounts need no restart. Azurite knows the accounts of AZURITE_ACCOUNTS only; here every name is an account whose
//    key follows from the secret in LOCAL_AZURE_BLOBS_SECRET (see accounts.py, which computes the same).
"use strict";

const crypto = require("crypto");
const http = require("http");
const path = require("path");

const azurite = path.join(__dirname, "node_modules", "azurite");
const Loki = require(require.resolve("lokijs", { paths: [azurite] }));
const AccountDataStore = require(path.join(azurite, "dist/src/common/AccountDataStore.js")).default;

const databases = new Set();
const enableAutosave = Loki.prototype.autosaveEnable;
Loki.prototype.autosaveEnable = function (...args) {
  databases.add(this);
  return enableAutosave.apply(this, args);
};

const save = (database) =>
  new Promise((resolve, reject) => {
    if (!database.throttledSavePending && !database.autosaveDirty()) return resolve();
    database.saveDatabase((error) => (error ? reject(error) : resolve()));
  });

function answerAfterSave(response) {
  const end = response.end;
  response.end = function (...args) {
    Promise.all([...databases].map(save)).then(
      () => end.apply(response, args),
      (error) => {
        console.error(`cannot save: ${error.message}; the request is not acknowledged`);
        response.destroy(error);
      },
    );
    return response;
  };
}

const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, request, response, ...rest) {
  if (event === "request" && request.method !== "GET" && request.method !== "HEAD") answerAfterSave(response);
  return emit.call(this, event, request, response, ...rest);
};

const secret = Buffer.from(process.env.LOCAL_AZURE_BLOBS_SECRET || "", "base64");
if (secret.length < 32) throw new Error("LOCAL_AZURE_BLOBS_SECRET is not set: start Azurite through the local Azure");
AccountDataStore.prototype.getAccount = (name) => ({
  name,
  key1: crypto.createHmac("sha256", secret).update(name).digest(),
});
