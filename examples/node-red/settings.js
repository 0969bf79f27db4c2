// Node-RED for trying things out: on this machine alone, and telling nobody.
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: 18880,
    flowFile: "flows.json",
    credentialSecret: "an example",
    telemetry: { enabled: false, updateNotification: false },
};
