// TinCanJS, unchanged: statements one by one and in batches, pages, an attachment, voiding, states and profiles with their ETags.
"use strict";
const TinCan = require("tincanjs");
const { report, refusal } = require("./report.cjs");

report(async ({ endpoint, key, secret, marker }) => {
  const lrs = new TinCan.LRS({ endpoint, username: key, password: secret, allowFail: false });
  const ask = (method, ...args) => new Promise((resolve, reject) => {
    const settings = args.pop();
    const callback = (err, result) => (err === null ? resolve(result) : reject({ method, err, status: result && result.status, body: result && result.responseText }));
    lrs[method](...args, { ...settings, callback });
  });
  const agent = new TinCan.Agent({ mbox: `mailto:${marker}@example.org`, name: "Grace" });
  const activity = new TinCan.Activity({ id: `https://courses.example.org/${marker}`, definition: { name: { "en-US": "Compilers" } } });
  const statement = (verb, more) => new TinCan.Statement({
    actor: agent, verb: { id: `http://adlnet.gov/expapi/verbs/${verb}` }, target: activity, ...more,
  });
  const seen = {};

  seen.versions = (await ask("about", {})).version;

  const first = statement("attempted");
  await ask("saveStatement", first, {});
  seen.saved = (await ask("retrieveStatement", first.id, {})).id === first.id;
  const saved = await ask("saveStatements", [statement("experienced"), statement("experienced"), statement("passed", { result: { score: { scaled: 0.9 } } })], {});
  seen.batch = JSON.parse(saved.responseText).length;
  const bySomebody = { agent, limit: 2 };
  let page = await ask("queryStatements", { params: bySomebody });
  seen.pages = [page.statements.length];
  while (page.more) {
    page = await ask("moreStatements", { url: page.more });
    seen.pages.push(page.statements.length);
  }
  seen.filtered = (await ask("queryStatements", { params: { agent, verb: new TinCan.Verb({ id: "http://adlnet.gov/expapi/verbs/passed" }), activity } })).statements.length;

  const text = "Certificate of Grace, ünïcode";
  const attachment = new TinCan.Attachment({
    usageType: "http://id.tincanapi.com/attachment/certificate-of-completion", display: { "en-US": "Certificate" }, contentType: "text/plain; charset=utf-8",
  });
  attachment.setContentFromString(text);
  const proven = statement("completed", { attachments: [attachment] });
  await ask("saveStatement", proven, {});
  const received = await ask("retrieveStatement", proven.id, { params: { attachments: true } });
  seen.attachment = received.attachments[0].getContentAsString() === text;

  await ask("saveStatement", statement("voided", { target: new TinCan.StatementRef({ id: first.id }), verb: { id: "http://adlnet.gov/expapi/verbs/voided" } }), {});
  seen.voided = (await ask("retrieveVoidedStatement", first.id, {})).id === first.id;

  const place = { agent, activity };
  await ask("saveState", "bookmark", { page: 1 }, { ...place, contentType: "application/json" });
  const state = await ask("retrieveState", "bookmark", place);
  seen.state = [state.contents, state.contentType, /^"[0-9a-f]{40}"$/.test(state.etag)];
  await ask("saveState", "bookmark", { seen: true }, { ...place, contentType: "application/json", method: "POST", lastSHA1: state.etag });
  seen.merged = (await ask("retrieveState", "bookmark", place)).contents;
  seen.staleState = await refusal(ask("saveState", "bookmark", "late", { ...place, lastSHA1: state.etag }));
  seen.states = await ask("retrieveStateIds", place);
  await ask("dropState", null, place);
  seen.dropped = await ask("retrieveState", "bookmark", place);

  for (const [kind, whose] of [["ActivityProfile", { activity }], ["AgentProfile", { agent }]]) {
    await ask(`save${kind}`, "notes", "first", { ...whose, contentType: "text/plain" });
    const profile = await ask(`retrieve${kind}`, "notes", whose);
    seen[kind] = {
      text: profile.contents,
      unseen: await refusal(ask(`save${kind}`, "notes", "second", { ...whose, contentType: "text/plain" })),
      ids: await ask(`retrieve${kind}Ids`, whose),
    };
    await ask(`save${kind}`, "notes", "second", { ...whose, contentType: "text/plain", lastSHA1: profile.etag });
    seen[kind].changed = (await ask(`retrieve${kind}`, "notes", whose)).contents;
    await ask(`drop${kind}`, "notes", whose);
    seen[kind].dropped = await ask(`retrieve${kind}`, "notes", whose);
  }
  seen.activity = (await ask("retrieveActivity", activity.id, {})).definition.name;
  return seen;
});
