// Puts the values that came in into the request. Every value goes in as data:
// none can change the message around it. Written by segue; an edit here is
// undone by the next apply.
const { request, payload } = msg.segue;
const placeholder = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:\|[ \t]*(number|boolean)[ \t]*)?\}\}/g;
const control = /[\u0000-\u001f\u007f-\u009f]/;

class Refusal extends Error {
    constructor(text, status) {
        super(text);
        this.status = status;
    }
}

function refuse(text, status = 422) { throw new Refusal(text, status); }

// A Digits is a number as it was written.
class Digits {
    constructor(text) { this.text = text; }
}

// received returns the values that came in, by name.
function received() {
    const headers = msg.req.headers;
    const [media, ...parameters] = String(headers["content-type"] || "").toLowerCase().split(";").map((part) => part.trim());
    const charset = parameters.find((parameter) => /^charset\s*=/.test(parameter));
    const send = "send the values of the placeholders as one JSON object, with Content-Type: application/json";
    if (media !== "application/json") refuse(send, 415);
    if (charset && !/^charset\s*=\s*"?utf-?8"?$/.test(charset)) refuse("send JSON in UTF-8", 415);
    const body = msg.payload;
    if (!Buffer.isBuffer(body)) return parsed(body, send);
    if (!/^(identity)?$/i.test(headers["content-encoding"] || "")) refuse("send JSON without a Content-Encoding", 415);
    const source = body.toString("utf8");
    if (!Buffer.from(source, "utf8").equals(body)) refuse("the body is not UTF-8");
    if (source.trim() === "") refuse("the body is empty; " + send);
    // Strings, the names of fields among them, are marked with an s, and numbers
    // become strings that are marked with an n.
    let object;
    try {
        JSON.parse(source);
        object = JSON.parse(source.replace(/"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g,
            (token) => (token[0] === '"' ? '"s' + token.slice(1) : '"n' + token + '"')));
    } catch (error) {
        refuse("the body is not JSON: " + error.message);
    }
    if (object === null || typeof object !== "object" || Array.isArray(object)) refuse(send);
    const unmarked = (value) => {
        if (typeof value !== "string") return value;
        return value[0] === "n" ? new Digits(value.slice(1)) : value.slice(1);
    };
    return new Map(Object.keys(object).map((name) => [name.slice(1), unmarked(object[name])]));
}

// parsed returns the values of a body that Node-RED has read: versions before 4.1
// do, for a path in other capital letters, and in a flow that somebody has copied
// from an older one. A number that has lost digits on the way has 16 or more.
function parsed(object, send) {
    if (object === null || typeof object !== "object" || Array.isArray(object)) refuse(send);
    return new Map(Object.keys(object).map((name) => {
        const value = object[name];
        if (typeof value !== "number") return [name, value];
        const digits = String(value).replace(/e.*|[-.]/g, "").replace(/^0+/, "");
        return [name, Number.isSafeInteger(value) || (Number.isFinite(value) && digits.length < 16) ? new Digits(String(value)) : value];
    }));
}

// text returns the value of a placeholder as it stands in a text.
function text(name) {
    const value = values.has(name) ? values.get(name) : null;
    if (value === null) refuse(`no value for placeholder {{${name}}}`);
    if (value instanceof Digits) return value.text;
    if (typeof value === "number") refuse(`the number {{${name}}} has lost digits, as Node-RED has read the body; send it as a string`);
    if (!["string", "boolean"].includes(typeof value)) refuse(`the value of {{${name}}} is not a string, a number or a boolean`);
    return String(value);
}

// fill puts values into a template, after escape has seen them.
function fill(template, escape) {
    const rest = template.replace(placeholder, "");
    if (rest.includes("{{") || template.includes("{{{")) refuse(`malformed placeholder in ${template}`);
    return template.replace(placeholder, (_, name, cast, offset) => {
        if (cast) refuse(`the cast of {{${name}}} must stand alone in its string`);
        return escape(text(name), name, template.slice(0, offset));
    });
}

// cast returns JSON: a number keeps its digits.
function cast(name, type) {
    const value = text(name).trim();
    const fits = type === "boolean" ? !(values.get(name) instanceof Digits) && /^(true|false)$/.test(value)
        : typeof values.get(name) !== "boolean" && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value);
    if (!fits) refuse(`the value of {{${name}}} is not a ${type}`);
    return value;
}

// json writes a payload as JSON, with its placeholders filled in.
function json(node) {
    if (typeof node === "string") {
        placeholder.lastIndex = 0;
        const found = placeholder.exec(node);
        if (found && found[0] === node && found[2]) return cast(found[1], found[2]);
        return JSON.stringify(fill(node, (value) => value));
    }
    if (Array.isArray(node)) return "[" + node.map(json).join(",") + "]";
    if (node !== null && typeof node === "object") {
        return "{" + Object.keys(node).map((key) => JSON.stringify(key) + ":" + json(node[key])).join(",") + "}";
    }
    return JSON.stringify(node);
}

function inURL(value, name, before) {
    if (!/[?#]/.test(before) && ["", ".", ".."].includes(value)) {
        refuse(`the value of {{${name}}} is empty, "." or "..", which would change the URL's path`);
    }
    return encodeURIComponent(value);
}

// credential returns a text or the value of a secret.
function credential(c) {
    if (typeof c === "string") return c;
    const value = env.get("segue_" + c.secret);
    if (typeof value !== "string" || value === "") refuse(`the secret ${c.secret} is not stored; segue apply stores it`);
    return value;
}

function header(h) {
    if (typeof h === "string") return fill(h, (value) => value);
    if (h.basic) {
        const pair = credential(h.basic.username) + ":" + credential(h.basic.password);
        return "Basic " + Buffer.from(pair, "utf8").toString("base64");
    }
    return h.bearer === undefined ? credential(h) : "Bearer " + credential(h.bearer);
}

// The code for the node's end answers whoever has no answer by then.
const open = globalThis.open || (globalThis.open = new Set());
open.add(msg.res);
msg.res._res.on("close", () => open.delete(msg.res));

let values;
try {
    values = received();
    const headers = {};
    for (const name of Object.keys(request.headers)) {
        const value = header(request.headers[name]);
        if (control.test(value)) refuse(`header ${name} would hold a line break or another control character`);
        // Node.js writes one byte a character; a list keeps an empty value alive.
        headers[name] = value === "" ? [""] : Buffer.from(value, "utf8").toString("latin1");
    }
    const segue = { headers, method: request.method, url: fill(request.url, inURL), tries: 1 };
    const body = payload === undefined ? undefined : json(payload);
    const plain = Object.fromEntries([...values].map(([name, value]) => [name, value instanceof Digits ? value.text : value]));
    const reason = refusal({ url: segue.url, body, headers: request.headers, placeholders: request.placeholders, values: plain });
    if (reason) refuse(reason);
    // A buffer: with a text, Node.js would write the headers in the body's encoding.
    if (body !== undefined) segue.payload = Buffer.from(body, "utf8");
    const out = { _msgid: msg._msgid, req: msg.req, res: msg.res, segue, headers: { ...headers }, method: segue.method, url: segue.url,
        followRedirects: false, requestTimeout: 30000 };
    if (segue.payload !== undefined) out.payload = segue.payload;
    return [out, null];
} catch (error) {
    const known = error instanceof Refusal || error instanceof URIError;
    return [null, { _msgid: msg._msgid, req: msg.req, res: msg.res, headers: {}, statusCode: error.status || 422,
        payload: { error: known ? error.message : "the flow is damaged: " + error.message } }];
}
