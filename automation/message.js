// refusal returns the reason why a request must not be sent, or '' if there is none.
// The rules, their sources in Segment's documentation and their messages are those
// of CheckMessage in message.go. One table of cases tests both.
//
//   url           the request's URL, with its placeholders filled in
//   body          the request's body, a string of JSON; undefined for none
//   headers       the automation's headers, as in its canonical JSON
//   placeholders  the automation's placeholders, as in its canonical JSON;
//                 undefined for none
//   values        the values of the placeholders, an object; numbers may be given
//                 as strings of their digits, so that none is lost
function refusal({ url, body, headers, placeholders, values }) {
  const maxBytes = 32768;
  const maxMessageID = 99;
  const requiredFields = { group: 'groupId', track: 'event', alias: 'previousId' };
  const segmentURL = /^https?:\/\/(?:[^/?#@]*@)?(?:api\.segment\.io|events\.eu1\.segmentapis\.com)\.?(?::[0-9]*)?(\/.*)$/is;
  const segmentPath = /^\/v1\/(identify|group|track|page|screen|alias)\/?(?:[?#]|$)/;
  const proxyURL = /^[^?#]*\/(identify|group|track|page|screen|alias)\/?(?:[?#]|$)/;
  const isoDateTime = new RegExp('^([0-9]{4}|[+-][0-9]{6})(?:-([0-9]{1,2})-([0-9]{1,2})|([0-9]{2})([0-9]{2})|-?([0-9]{3})|-?W([0-9]{2})-?([0-9]))'
    + '(?:[Tt ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?(?:[.,]([0-9]+))?(?:[Zz]|[+-]([0-9]{2})(?::?([0-9]{2}))?)?)?$');
  const isoLess = /^(?:[0-9]{4}|[+-][0-9]{6})(?:-([0-9]{2})|-?W([0-9]{2}))?$/;

  // own returns a field of an object, but not an inherited one.
  const own = (object, name) => (Object.prototype.hasOwnProperty.call(object, name) ? object[name] : undefined);

  // bytes returns the size of a string in UTF-8.
  const bytes = (text) => {
    let n = 0;
    for (const char of text) {
      const code = char.codePointAt(0);
      n += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    }
    return n;
  };

  // valueLength is the size of a value as JSON text, without the quotes of a string.
  const valueLength = (value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return String(value).length;
    if (typeof value !== 'string') return 0;
    let n = 0;
    for (const char of value) {
      n += '"\\\b\f\n\r\t'.includes(char) ? 2 : char < ' ' ? 6 : bytes(char);
    }
    return n;
  };

  const segmentCall = () => {
    const segment = segmentURL.exec(url);
    const path = segment && segmentPath.exec(segment[1]);
    if (path) return path[1];
    const authorization = own(headers || {}, 'Authorization');
    const basic = authorization && authorization.basic;
    if (!basic || !basic.username || basic.password !== '') return '';
    const proxy = proxyURL.exec(url);
    return proxy ? proxy[1] : '';
  };

  const lacks = (value) => {
    if (value === undefined || value === null) return 'is missing';
    if (typeof value === 'number') return '';
    if (typeof value !== 'string') return 'is not a string';
    return /^[\s\u0085]*$/.test(value) ? 'is empty' : '';
  };

  const shown = (text) => (/^[ -~]{0,60}$/.test(text) ? `: "${text}"` : '');

  const leapDay = (year) => ((year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 1 : 0);

  const isISOTime = (text) => {
    const within = (digits, low, high) => digits === undefined || (Number(digits) >= low && Number(digits) <= high);
    const less = isoLess.exec(text);
    if (less) return within(less[1], 1, 12) && within(less[2], 1, 53);
    const m = isoDateTime.exec(text);
    if (!m) return false;
    const year = Number(m[1]);
    const month = m[2] || m[4];
    const day = m[3] || m[5];
    let days = 31;
    if ([4, 6, 9, 11].includes(Number(month))) days = 30;
    if (Number(month) === 2) days = 28 + leapDay(year);
    const midnight = m[9] === '24' && /^0*$/.test((m[10] || '') + (m[11] || '') + (m[12] || ''));
    return within(month, 1, 12) && within(day, 1, days) && within(m[6], 1, 365 + leapDay(year))
      && within(m[7], 1, 53) && within(m[8], 1, 7)
      && (within(m[9], 0, 23) || midnight) && within(m[10], 0, 59) && within(m[11], 0, 60) // 60 is a leap second
      && within(m[13], 0, 23) && within(m[14], 0, 59);
  };

  const dropped = (call) => {
    const size = bytes(body === undefined ? '' : body);
    if (size > maxBytes) return `it has ${size} bytes; the maximum is ${maxBytes}`;
    let message;
    try {
      message = JSON.parse(body);
    } catch (e) {
      return 'its body is not JSON';
    }
    if (message === null || typeof message !== 'object' || Array.isArray(message)) return 'its body is not a JSON object';
    const user = lacks(own(message, 'userId'));
    const anonymous = lacks(own(message, 'anonymousId'));
    if (user && anonymous) return `userId ${user} and anonymousId ${anonymous}, but a message needs one of them`;
    const field = own(requiredFields, call);
    const lack = field && lacks(own(message, field));
    if (lack) return `${field} ${lack}, but ${call} calls require it`;
    for (const name of ['timestamp', 'sentAt']) {
      const time = own(message, name);
      if (time === undefined || time === null) continue;
      if (typeof time !== 'string') return `${name} is not a string with an ISO 8601 time`;
      if (!isISOTime(time)) return `${name} is not an ISO 8601 time${shown(time)}`;
    }
    const id = own(message, 'messageId');
    const characters = typeof id === 'string' ? Array.from(id).length : 0;
    if (characters > maxMessageID) return `messageId has ${characters} characters; the maximum is ${maxMessageID}`;
    return '';
  };

  for (const name of Object.keys(placeholders || {}).sort()) {
    const limit = placeholders[name].maxLength;
    const length = valueLength(own(values || {}, name));
    if (limit > 0 && length > limit) return `the value of {{${name}}} has ${length} bytes, and its maxLength is ${limit}`;
  }
  const call = segmentCall();
  const reason = call && dropped(call);
  return reason ? `Segment would drop the message: ${reason}` : '';
}
