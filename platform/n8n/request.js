// Made by segue from the automation's source in Git; do not edit it here.
// It fills the placeholders of the node "Request" in with the values that the
// trigger was sent, and hands the finished request on to the node "Send". What
// can't be sent goes to the node "Not sent", with the reason.

class Refusal extends Error {
  constructor(reason, status = 422) {
    super(reason);
    this.status = status;
  }
}

// read returns the values that the trigger was sent, and once more with each
// number as a text: a double can't hold every number that JSON can.
function read(trigger) {
  const media = String(trigger.json.headers['content-type'] || '').split(';')[0].trim().toLowerCase();
  if (media !== 'application/json') {
    throw new Refusal('the request\'s Content-Type must be application/json', 415);
  }
  const sent = Buffer.from((trigger.binary && trigger.binary.data && trigger.binary.data.data) || '', 'base64').toString('utf8');
  let values;
  try {
    values = JSON.parse(sent);
  } catch (e) {
    // It is no object either.
  }
  if (values === null || typeof values !== 'object' || Array.isArray(values)) {
    throw new Refusal('the request\'s body must be one JSON object, with the values of the placeholders');
  }
  const digits = JSON.parse(sent.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g,
    (token) => (token[0] === '"' ? token : `"${token}"`)));
  return { values, digits };
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const placeholder = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:\|[ \t]*(number|boolean)[ \t]*)?\}\}/g;

// compose returns the finished request.
function compose({ values, digits }) {
  // textOf returns a placeholder's value as it stands in a text.
  function textOf(name) {
    const value = Object.prototype.hasOwnProperty.call(values, name) ? values[name] : undefined;
    if (value === undefined || value === null) throw new Refusal(`no value for placeholder {{${name}}}`);
    if (typeof value === 'string') return value;
    if (typeof value === 'boolean') return String(value);
    if (typeof value === 'number') return digits[name];
    throw new Refusal(`the value of {{${name}}} is not a string, a number or a boolean`);
  }

  // fill returns a template with every value in it, once escape has seen it.
  function fill(template, escape) {
    return template.replace(placeholder, (all, name, cast, offset) => escape(textOf(name), name, template.slice(0, offset)));
  }

  // jsonText returns a string of the payload as JSON: a number or a boolean where
  // the string is one placeholder with a cast, else a string again.
  function jsonText(template) {
    const [match] = template.matchAll(placeholder);
    if (match === undefined || match[0] !== template || match[2] === undefined) {
      return JSON.stringify(fill(template, (text) => text));
    }
    const text = textOf(match[1]).trim();
    const wasBoolean = typeof values[match[1]] === 'boolean';
    if (match[2] === 'number' ? !wasBoolean && jsonNumber.test(text) : text === 'true' || text === 'false') return text;
    throw new Refusal(`the value of {{${match[1]}}} is not a ${match[2]}`);
  }

  // render returns a payload as JSON.
  function render(value) {
    if (typeof value === 'string') return jsonText(value);
    if (Array.isArray(value)) return `[${value.map(render).join(',')}]`;
    if (value === null || typeof value !== 'object') return JSON.stringify(value);
    return `{${Object.keys(value).map((key) => `${JSON.stringify(key)}:${render(value[key])}`).join(',')}}`;
  }

  // percent escapes all bytes but unreserved ones and those in keep.
  function percent(text, keep) {
    return Array.from(Buffer.from(text, 'utf8'), (byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9_.~-]/.test(char) || keep.includes(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }).join('');
  }

  const escapeURL = (text, name, before) => {
    if (/[?#]/.test(before)) return percent(text, '');
    if (text === '' || text === '.' || text === '..') {
      throw new Refusal(`the value of {{${name}}} is empty, "." or "..", which would change the URL's path`);
    }
    return percent(text, '$&+=:@');
  };

  const escapeHeader = (text, name) => {
    if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) {
      throw new Refusal(`the value of {{${name}}} holds a line break or another control character, which a header can't`);
    }
    return text;
  };

  // n8n would guess an output and a run, wrongly where nodes are in a loop.
  const request = $('Request').first(0, 0).json;
  const headers = {};
  for (const [name, value] of Object.entries(JSON.parse(request.headers))) {
    let text;
    if (typeof value === 'string') {
      text = fill(value, escapeHeader);
    } else if (typeof value.bearer === 'string') {
      text = `Bearer ${value.bearer}`;
    } else if (value.basic && typeof value.basic.username === 'string' && typeof value.basic.password === 'string') {
      text = `Basic ${Buffer.from(`${value.basic.username}:${value.basic.password}`, 'utf8').toString('base64')}`;
    } else {
      continue; // it holds a secret: the credential of the node "Send" adds it
    }
    headers[name.toLowerCase()] = Buffer.from(text, 'utf8').toString('latin1'); // sent as UTF-8
  }
  const contentType = headers['content-type'] || 'application/json';
  if (request.method !== 'DELETE') delete headers['content-type']; // the node has a field for it

  const url = fill(request.url, escapeURL);
  const body = request.payload === undefined ? undefined : render(JSON.parse(request.payload));
  const reason = refusal({
    url, body, headers: JSON.parse(request.headers), values: digits,
    placeholders: request.placeholders === undefined ? undefined : JSON.parse(request.placeholders),
  });
  if (reason) throw new Refusal(reason);
  return { method: request.method, url, headers: JSON.stringify(headers), contentType, body };
}

try {
  return [{ json: compose(read($('Trigger').first(0, 0))) }];
} catch (e) {
  if (!(e instanceof Refusal)) throw e;
  // n8n sends what has an error, and nothing else, to the second output.
  return [{ json: { error: { refused: e.status, reason: e.message } } }];
}
