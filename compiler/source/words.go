package source

import ()

// TruthWords are what other languages call true and false.
var TruthWords = map[string]string{"yes": "true", "on": "true", "True": "true", "TRUE": "true", "Yes": "true", "YES": "true",
	"no": "false", "off": "false", "False": "false", "FALSE": "false", "No": "false", "NO": "false"}
