// Answers the callers whose request is under way, or waits for another try: the
// node is being stopped, and nobody else would. Written by segue.
for (const res of globalThis.open || []) {
    if (!res._res.headersSent) {
        res._res.status(502).json({ error: "the flow was stopped before the endpoint gave an answer that is final; the message may have been sent" });
    }
}
