package embedded

import (
	"net/http"

	"github.com/seguehq/segue/automation"
)

// secretLimit is the longest value of a secret, in bytes.
const secretLimit = 64 << 10

func (a *api) listSecrets(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "project")
	if err != nil {
		return err
	}
	if !validName(query["project"]) {
		return badParameter("project is missing or not a project's name")
	}
	names, err := a.store.secretNames(r.Context(), query["project"])
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, map[string][]string{"secrets": names})
}

// comparison is the body of a comparison: a value for each name.
type comparison struct {
	Project string            `json:"project"`
	Values  map[string]string `json:"values"`
}

// compared is the answer to a comparison.
type compared struct {
	Secrets map[string]string `json:"secrets"`
}

// The results of comparing a stored secret.
const (
	stateSame      = "same"
	stateDifferent = "different"
	stateUnchecked = "unchecked" // no value was given for it
)

func (a *api) compareSecrets(w http.ResponseWriter, r *http.Request) error {
	var body comparison
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if !validName(body.Project) {
		return malformed("project is missing or not a project's name")
	}
	stored, err := a.store.secrets(r.Context(), body.Project)
	if err != nil {
		return err
	}
	answer := compared{Secrets: map[string]string{}}
	for name, value := range stored {
		given, ok := body.Values[name]
		switch {
		case !ok:
			answer.Secrets[name] = stateUnchecked
		case sameSecret(value, automation.NewSecret(given)):
			answer.Secrets[name] = stateSame
		default:
			answer.Secrets[name] = stateDifferent
		}
	}
	return sendJSON(w, http.StatusOK, answer)
}

// secretBody is the body of a PUT.
type secretBody struct {
	Value string `json:"value"`
}

func (a *api) putSecret(w http.ResponseWriter, r *http.Request) error {
	project, name := r.PathValue("project"), r.PathValue("name")
	var body secretBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	refuse := func(what string) error {
		return newProblem(http.StatusUnprocessableEntity, "invalid-secret", "the secret can't be stored: %s", what)
	}
	switch {
	case !validName(project) || !validName(name):
		return refuse("its project or name is too long, or has characters that can't be printed")
	case body.Value == "":
		return refuse("its value is missing or empty")
	case len(body.Value) > secretLimit:
		return refuse("its value is longer than 64 KiB")
	}
	if err := a.store.putSecret(r.Context(), project, name, automation.NewSecret(body.Value)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) deleteSecret(w http.ResponseWriter, r *http.Request) error {
	if err := a.store.deleteSecret(r.Context(), r.PathValue("project"), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
