// Reads {url, calls} as JSON, makes each call with the official Node.js SDK, prints the replies.
// Without a url, the SDK uses the cloud's own names, over TLS.
const { readFileSync } = require("node:fs");
const { CommonClient } = require("tencentcloud-sdk-nodejs-common");
const { cvm } = require("tencentcloud-sdk-nodejs-cvm");

async function call({ tag, action, params, signMethod, reqMethod, credential }, endpoint) {
  const { TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY, TENCENTCLOUD_TOKEN } = process.env;
  const exported = { secretId: TENCENTCLOUD_SECRET_ID, secretKey: TENCENTCLOUD_SECRET_KEY };
  const config = {
    credential: { ...exported, token: TENCENTCLOUD_TOKEN, ...credential },
    region: tag ? undefined : "ap-guangzhou",
    profile: { signMethod, httpProfile: { ...endpoint, reqMethod } },
  };
  try {
    // npm has no package for the Tag API alone
    const host = endpoint.endpoint ?? "tag.tencentcloudapi.com";
    if (tag) return await new CommonClient(host, "2018-08-13", config).request(action, params);
    return await new cvm.v20170312.Client(config)[action](params);
  } catch (error) {
    return { code: error.code, requestId: error.requestId };
  }
}

(async () => {
  const { url, calls } = JSON.parse(readFileSync(0, "utf8"));
  const replies = [];
  const endpoint = url ? { protocol: "http://", endpoint: new URL(url).host } : {};
  for (const request of calls) replies.push(await call(request, endpoint));
  console.log(JSON.stringify(replies));
})();
