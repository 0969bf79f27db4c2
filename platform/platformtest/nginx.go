package platformtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// StartNginx starts Debian's nginx until the test ends, with its files in dir. site is
// added to the http block of its configuration; DIR in it is replaced by the folder.
func StartNginx(t testing.TB, dir, site string) {
	t.Helper()
	Require(t, "nginx")
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		// Debian installs it in a folder that is only on root's PATH.
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is not on the PATH; install it, with apt-get install nginx-light.\n" +
				"The test needs the real one. To skip it, list the platforms to test in SEGUE_TEST_PLATFORMS.")
		}
	}
	user := ""
	if os.Geteuid() == 0 { // only root can choose its user
		user = "user root;\n"
	}
	port := FreePort(t)
	config := user + strings.NewReplacer("SITE", strings.ReplaceAll(site, "DIR", dir), "DIR", dir, "READY", fmt.Sprint(port)).Replace(`
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path DIR/bodies;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	server { listen 127.0.0.1:READY; return 204; }
	SITE
}
`)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	StartProcess(t, Command{
		Args: []string{nginx, "-p", dir, "-c", file, "-e", "stderr"}, Dir: dir, Ready: fmt.Sprintf("http://127.0.0.1:%d/", port),
	})
}
