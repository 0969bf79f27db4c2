// Puts the values that came in into the request. Every value goes in as data:
// none can change the message around it. Written by segue; an edit here is
// undone by the next apply.
const values = msg.payload;
const { request, payload } = msg.segue;
const placeholder = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:\|[ \t]*(number|boolean)[ \t]*)?\}\}/g;
const control = /[\u0000-\u001f\u007f-\u009f]/;

class Refusal extends Error {}

function refuse(text) { throw new Refusal(text); }

// text returns the value of a placeholder as it stands in a text.
function text(name) {
    const value = Object.prototype.hasOwnProperty.call(values, name) ? values[name] : null;
    if (value === null) refuse(`no value for placeholder {{${name}}}`);
    if (!["string", "number", "boolean"].includes(typeof value)) {
        refuse(`the value of {{${name}}} is not a string, a number or a boolean`);
    }
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
    const fits = type === "boolean" ? /^(true|false)$/.test(value)
        : typeof values[name] !== "boolean" && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value);
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

try {
    if (values === null || typeof values !== "object" || Array.isArray(values) || Buffer.isBuffer(values)) {
        refuse("send the values of the placeholders as one JSON object, with Content-Type: application/json");
    }
    const headers = {};
    for (const name of Object.keys(request.headers)) {
        const value = header(request.headers[name]);
        if (control.test(value)) refuse(`header ${name} would hold a line break or another control character`);
        // Node.js writes one byte a character; a list keeps an empty value alive.
        headers[name] = value === "" ? [""] : Buffer.from(value, "utf8").toString("latin1");
    }
    const out = { _msgid: msg._msgid, req: msg.req, res: msg.res, headers, method: request.method,
        url: fill(request.url, inURL), followRedirects: false };
    // A buffer: with a text, Node.js would write the headers in the body's encoding.
    if (payload !== undefined) out.payload = Buffer.from(json(payload), "utf8");
    return [out, null];
} catch (error) {
    const known = error instanceof Refusal || error instanceof URIError;
    return [null, { _msgid: msg._msgid, req: msg.req, res: msg.res, headers: {}, statusCode: 422,
        payload: { error: known ? error.message : "the flow is damaged: " + error.message } }];
}
