// Stands in for Segment: shows the first request that arrives, and ends.
const http = require("node:http");

const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
        const body = Buffer.concat(parts).toString("utf8");
        console.log(`${request.method} ${request.url}`);
        for (const name of ["authorization", "content-type"]) console.log(`${name}: ${request.headers[name]}`);
        console.log("\n" + JSON.stringify(JSON.parse(body), null, 2));
        response.end('{"success":true}', () => server.close());
        server.closeIdleConnections();
    });
});
server.listen(18881, "127.0.0.1");
