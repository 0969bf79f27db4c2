// Tells the caller what has become of the request, or has it made again after a
// pause if what was wrong may pass. Written by segue.
const { segue } = msg;
const maxTries = 4;
const longestPause = 10000; // milliseconds, whatever the endpoint asks for
const status = msg.statusCode;
const answered = Number.isInteger(status);

// asked is the pause that the endpoint asks for, in milliseconds.
function asked() {
    const after = String((msg.headers || {})["retry-after"] || "").trim();
    const pause = /^\d+$/.test(after) ? 1000 * Number(after) : Date.parse(after) - Date.now();
    return pause > 0 ? pause : 0;
}

// A network's errors are those of the operating system, such as ECONNREFUSED.
const mayPass = answered ? status === 408 || status === 429 || status >= 500 : /^E(?!RR_)[A-Z_]+$/.test(status);
if (mayPass && segue.tries < maxTries) {
    const pause = Math.min(Math.max(500 * 3 ** (segue.tries - 1), answered ? asked() : 0), longestPause);
    await new Promise((resolve) => setTimeout(resolve, pause));
    const again = { _msgid: msg._msgid, req: msg.req, res: msg.res, segue: { ...segue, tries: segue.tries + 1 },
        headers: { ...segue.headers }, method: segue.method, url: segue.url, followRedirects: false, requestTimeout: 30000 };
    if (segue.payload !== undefined) again.payload = segue.payload;
    return [null, again];
}
return [{ _msgid: msg._msgid, req: msg.req, res: msg.res, headers: {},
    statusCode: answered && status >= 200 && status < 300 ? 200 : 502,
    payload: answered ? { status, tries: segue.tries } : { error: "the endpoint gave no answer: " + status, tries: segue.tries } }, null];
