// Package limits bounds what the evaluation of a package may take.
package limits
