// Package naming knows how Segment names things. [Event] checks the name of an event against Segment's advice, and
// suggests a better one. [Column] returns the column that a warehouse makes of the name of a field:
//
//	problem, better := naming.Event("export report") // better is "Report Exported"
//	naming.Column("planName")                        // plan_name
package naming
