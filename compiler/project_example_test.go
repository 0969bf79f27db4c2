package compiler

import ()

// exampleProject is a segue.cue for tests that are about something else.
const exampleProject = `project: "growth"
sources: segment: {region: "us", writeKey: secret: "SEGMENT_WRITE_KEY"}
targets: local: platform: "embedded"
`
