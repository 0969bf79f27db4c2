// Tells the caller what has become of the request. Written by segue.
const status = msg.statusCode;
const answered = Number.isInteger(status);
return { _msgid: msg._msgid, req: msg.req, res: msg.res, headers: {},
    statusCode: answered && status >= 200 && status < 300 ? 200 : 502,
    payload: answered ? { status } : { error: "the endpoint gave no answer: " + status } };
