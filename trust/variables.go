package trust

import "strings"

// A VariableGroup is a set of environment variables that belong to a machine,
// or to another program on it, and not to a project of segue's.
type VariableGroup struct {
	// Of names the owner.
	Of string
	// Names are the names of the variables. A name that ends with * is a
	// prefix.
	Names []string
}

// MachineVariables are the environment variables that no project gets as a
// secret, unless the user names them: the project's author also decides where
// its secrets are sent. docs/security.md has the table.
var MachineVariables = []VariableGroup{
	{"GitHub and its Actions", []string{"GITHUB_*", "GH_*", "GHE_*", "ACTIONS_*", "RUNNER_*", "INPUT_*"}},
	{"GitLab", []string{"GITLAB_*", "GL_*"}},
	{"CI systems", []string{"CI", "CI_*", "BUILDKITE_*", "JENKINS_*", "HUDSON_*", "CIRCLE_*", "CIRCLECI", "TRAVIS_*", "DRONE_*", "BITBUCKET_*",
		"TEAMCITY_*", "APPVEYOR_*", "SEMAPHORE_*", "WOODPECKER_*", "CODEBUILD_*", "SYSTEM_*", "BUILD_*", "TF_BUILD"}},
	{"Amazon Web Services", []string{"AWS_*", "AMAZON_*", "ECS_*"}},
	{"Microsoft Azure", []string{"AZURE_*", "ARM_*", "MSI_*", "IDENTITY_*"}},
	{"Google Cloud", []string{"GOOGLE_*", "GCLOUD_*", "GCP_*", "CLOUDSDK_*", "FIREBASE_*"}},
	{"other clouds", []string{"ALICLOUD_*", "CLOUDFLARE_*", "CF_*", "DIGITALOCEAN_*", "FLY_*", "HCLOUD_*", "HEROKU_*", "LINODE_*", "NETLIFY_*", "OCI_*",
		"SCW_*", "VERCEL_*"}},
	{"infrastructure", []string{"ANSIBLE_*", "CONSUL_*", "DOCKER_*", "HELM_*", "KUBE*", "NOMAD_*", "PULUMI_*", "TERRAFORM_*", "TF_*", "TFE_*"}},
	{"keepers of secrets", []string{"BW_*", "BWS_*", "DOPPLER_*", "INFISICAL_*", "OP_*", "SOPS_*", "AGE_*", "VAULT_*"}},
	{"package managers", []string{"BUNDLE_*", "CARGO_*", "COMPOSER_*", "CUE_*", "GEM_*", "GOAUTH", "GOFLAGS", "GONOPROXY", "GONOSUMDB",
		"GOPATH", "GOPRIVATE", "GOPROXY", "GOROOT", "HOMEBREW_*", "MAVEN_*", "NODE_AUTH_TOKEN", "NPM_*", "NUGET_*",
		"PIP_*", "PNPM_*", "POETRY_*", "PYPI_*", "RUBYGEMS_*", "TWINE_*", "UV_*", "YARN_*"}},
	{"segue's cache", []string{"SEGUE_CACHE_*"}},
	{"databases", []string{"DATABASE_URL", "MONGO*", "MYSQL_*", "PG*", "POSTGRES_*", "REDIS_*"}},
	{"Git, SSH and GPG", []string{"GIT_*", "GPG_*", "GNUPG*", "SSH_*"}},
	{"proxies, whose addresses may hold credentials", []string{"ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}},
	{"the session", []string{"COLORTERM", "DBUS_*", "DISPLAY", "EDITOR", "HISTFILE", "HOME", "HOSTNAME", "INVOCATION_ID", "JOURNAL_STREAM", "LANG", "LC_*", "LD_*",
		"DYLD_*", "LOGNAME", "LS_COLORS", "MAIL", "OLDPWD", "PAGER", "PATH", "PWD", "SHELL", "SHLVL", "SUDO_*", "SYSTEMD_*", "TERM", "TERM_*", "TMP", "TEMP", "TMPDIR",
		"TZ", "USER", "VISUAL", "XAUTHORITY", "XDG_*", "_"}},
	{"Windows", []string{"ALLUSERSPROFILE", "APPDATA", "COMPUTERNAME", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "LOGONSERVER", "PROGRAM*",
		"PSMODULEPATH", "SYSTEMDRIVE", "SYSTEMROOT", "USERDOMAIN*", "USERNAME", "USERPROFILE", "WINDIR"}},
}

// IsMachineVariable reports whether a variable is one of [MachineVariables]. The
// case of letters does not matter, as on Windows.
func IsMachineVariable(name string) bool {
	name = strings.ToUpper(name)
	for _, group := range MachineVariables {
		for _, pattern := range group.Names {
			if prefix, open := strings.CutSuffix(pattern, "*"); name == pattern || open && strings.HasPrefix(name, prefix) {
				return true
			}
		}
	}
	return false
}
