// Takes Segment's place for one message, which it prints.
require('node:http').createServer((req, res) => {
  let text = '';
  req.setEncoding('utf8').on('data', (some) => { text += some; }).on('end', () => {
    console.log(`${req.method} ${req.url}\nAuthorization: ${req.headers.authorization}\n\n${JSON.stringify(JSON.parse(text), null, 2)}`);
    res.end('{"success":true}', () => process.exit());
  });
}).listen(15679, '127.0.0.1', () => console.error('ready'));
