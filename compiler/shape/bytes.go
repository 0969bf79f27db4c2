package shape

import ()

// Bytes stands for CUE's bytes, which are no text: they would be sent in
// base64. It holds them.
type Bytes string
