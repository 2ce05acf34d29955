// @xapi/xapi, unchanged, in the version of xAPI it is told: statements, pages, attachments, voiding, states and profiles with their ETags, about, agents.
"use strict";
const XAPI = require("@xapi/xapi");
const { createHash } = require("node:crypto");
const { report, refusal } = require("./report.cjs");

report(async ({ endpoint, key, secret, marker, version, adapter }) => {
  const lrs = new XAPI({ endpoint, auth: XAPI.toBasicAuth(key, secret), version, adapter });
  const agent = { objectType: "Agent", mbox: `mailto:${marker}@example.org` };
  const activityId = `https://courses.example.org/${marker}`;
  const statement = (verb, more) => ({ actor: agent, verb, object: { objectType: "Activity", id: activityId, definition: { name: { en: "Logic" } } }, ...more });
  const seen = {};

  const about = await lrs.getAbout();
  seen.about = [about.status, about.data.version.includes("1.0.3"), about.headers["x-experience-api-version"]];

  const [id] = (await lrs.sendStatement({ statement: statement(XAPI.Verbs.INITIALIZED) })).data;
  const one = await lrs.getStatement({ statementId: id });
  seen.saved = [one.data.id === id, one.headers["x-experience-api-version"]];
  seen.batch = (await lrs.sendStatements({ statements: [statement(XAPI.Verbs.PASSED), statement(XAPI.Verbs.COMPLETED)] })).data.length;
  let page = (await lrs.getStatements({ agent, limit: 2 })).data;
  seen.pages = [page.statements.length];
  while (page.more) {
    page = (await lrs.getMoreStatements({ more: page.more })).data;
    seen.pages.push(page.statements.length);
  }
  seen.filtered = (await lrs.getStatements({ agent, verb: XAPI.Verbs.PASSED.id, activity: activityId })).data.statements.length;

  if (adapter === "fetch") { // under Node its other adapter puts the Blob's type, which is empty, in place of multipart/mixed
    const content = Buffer.from("a certificate");
    const attachment = {
      usageType: XAPI.AttachmentUsages.CERTIFICATE_OF_COMPLETION, display: { en: "Certificate" }, contentType: "text/plain",
      length: content.length, sha2: createHash("sha256").update(content).digest("hex"),
    };
    const bytes = content.buffer.slice(content.byteOffset, content.byteOffset + content.length);
    const [proven] = (await lrs.sendStatement({ statement: statement(XAPI.Verbs.COMMENTED, { attachments: [attachment] }), attachments: [bytes] })).data;
    const parts = (await lrs.getStatement({ statementId: proven, attachments: true })).data;
    seen.attachment = [parts[0].id === proven, parts[1]];
  }

  await lrs.voidStatement({ actor: agent, statementId: id });
  seen.gone = await refusal(lrs.getStatement({ statementId: id }));
  seen.voided = (await lrs.getVoidedStatement({ voidedStatementId: id })).data.id === id;

  const registration = "7c8d0e64-3e5a-4f52-9c0e-0f2f2f7a3a11";
  const place = { agent, activityId, stateId: "bookmark", registration };
  await lrs.createState({ ...place, state: { page: 1 } });
  const state = await lrs.getState(place);
  const { etag } = state.headers;
  seen.state = [state.data, /^"[0-9a-f]{40}"$/.test(etag)];
  await lrs.setState({ ...place, state: { page: 2 }, etag, matchHeader: "If-Match" });
  seen.changed = (await lrs.getState(place)).data;
  seen.stale = await refusal(lrs.setState({ ...place, state: { page: 3 }, etag, matchHeader: "If-Match" }));
  seen.states = (await lrs.getStates({ agent, activityId, registration })).data;
  await lrs.deleteState(place);
  await lrs.deleteStates({ agent, activityId });
  seen.deleted = await refusal(lrs.getState(place));

  for (const [kind, whose] of [["ActivityProfile", { activityId }], ["AgentProfile", { agent }]]) {
    const profile = { ...whose, profileId: "notes" };
    await lrs[`set${kind}`]({ ...profile, profile: { colour: "red" }, etag: "*", matchHeader: "If-None-Match" });
    await lrs[`create${kind}`]({ ...profile, profile: { size: 1 } });
    const found = await lrs[`get${kind}`](profile);
    seen[kind] = [found.data, (await lrs[`get${kind}s`](whose)).data, await refusal(lrs[`set${kind}`]({ ...profile, profile: {}, etag: "*", matchHeader: "If-None-Match" }))];
    await lrs[`delete${kind}`]({ ...profile, etag: found.headers.etag });
    seen[kind].push(await refusal(lrs[`get${kind}`](profile)));
  }
  seen.agent = (await lrs.getAgent({ agent })).data.mbox;
  seen.activity = (await lrs.getActivity({ activityId })).data.definition.name;
  return seen;
});
