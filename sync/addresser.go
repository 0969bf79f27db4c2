package sync

// An Addresser is a [Platform] on which each automation has an endpoint of its own.
type Addresser interface {
	Platform

	// Address returns the URL that sets the automation of a project and key off, as
	// seen from where segue runs, "" if that is not known. It is called after
	// [Surveyor.Survey], and sends no request.
	Address(project, key string) string
}
