package resources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// python is a stand-in for a Python of a version: what it is asked for goes to log, with the path that it has; it makes
// environments that hold a stand-in; pip refuses where it lies in a folder called managed.
func standInPython(sh, log, version string) string {
	return "#!" + sh + `
case "$1 $2" in
'-c import sys'*) echo ` + version + ` ;;
'-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python3" && echo made > "$3/pyvenv.cfg"; echo "venv $0 $3" >> '` + log + `' ;;
'-m pip') echo "pip $0 $*" >> '` + log + `'; case $0 in */managed/*) echo 'error: externally-managed-environment'; exit 1 ;; esac ;;
*) echo "$0 $*" >> '` + log + `' ;;
esac
`
}

// TestEnvironments: packages go back to where the agents look: into an environment at its old place, into one of its own where the
// interpreter would not take them, with the agents mapped to it before anything is confirmed; else into the interpreter itself.
// An agent whose Python came with the packages is loaded then.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	taken := filepath.Join(base, "taken/bin/python3")
	b := homeRepository(t, map[string]string{
		"com.maia.a.plist": agentPlist("com.maia.a", "/opt/homebrew/bin/python3", ""), "com.maia.v.plist": agentPlist("com.maia.v", "/Users/naythan/git/maia/tools/my env/bin/python3", ""),
	}, nil, func(b *builder) {
		b.prefix = "/opt/homebrew"
		b.git = []string{
			"python 0 1 3.99.4 /opt/homebrew/bin/python3", "python 1 0 3.8.1 " + taken, "venv " + encode("tools/my env") + " 3.98.6 " + encode(base+"/old home"), "venv other/env - -",
		}
		b.items = append(b.items, item{component: "dependencies", kind: 'f', path: "pip_list.txt", mode: 0o644, mtime: time.Unix(1_700_000_000, 0), body: []byte(
			"# /opt/homebrew/bin/python3 3.99.4\npip==24.0\nflask==3.0.3\n# /Users/naythan/git/maia/tools/my env/bin/python 3.98.6 (no pip there; from importlib.metadata)\nnumpy==1.26.4\nflask==2.0.0\n" +
				"# " + taken + " 3.8.1\nrich==13.0.0\n# " + base + "/managed/python3 3.12.0\nattrs==1.0\n")})
	})
	m := newMachine(t, "bsdtar", "perl")
	m.wrap("uname", "echo arm64")
	m.wrapPlutil()
	m.wrapLaunchctl()
	log, sh := filepath.Join(base, "log"), filepath.Join(m.bin, "sh")
	for path, version := range map[string]string{base + "/old home/python3.98": "3.98", m.bin + "/python3.99": "3.99", m.bin + "/python3": "3.97", taken: "3.8", base + "/managed/python3": "3.12"} {
		write(t, path, []byte(standInPython(sh, log, version)))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.program("xcode-select", "#!"+sh+"\nexit 0\n")
	script, to := filepath.Join(b.dir, "restore_maia.sh"), filepath.Join(m.home, "new maia")
	args := []string{"--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")}
	m.run(script, append(args, "--dry-run")...).want(t, 0, "/opt/homebrew/bin/python3", "+ 6 "+to+"/.maia-venv/bin/python3")
	r := m.run(script, args...)
	own, old := to+"/.maia-venv", to+"/tools/my env"
	const options = " --no-input --disable-pip-version-check "
	r.want(t, 3, "into a Python environment: "+own, "into a Python environment: "+old, "2 agents are loaded.",
		base+"/managed/python3 is managed by others: its packages are in "+own, "--map "+base+"/managed/python3="+own+"/bin/python3")
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := "venv " + m.bin + "/python3.99 " + own + "\npip " + own + "/bin/python3 -m pip install" + options + "flask==3.0.3\n" +
		"venv " + base + "/old home/python3.98 " + old + "\npip " + old + "/bin/python3 -m pip install" + options + "numpy==1.26.4\npip " + old + "/bin/python3 -m pip install" + options + "flask==2.0.0\n" +
		"pip " + taken + " -m pip install --user" + options + "rich==13.0.0\n" +
		"pip " + base + "/managed/python3 -m pip install --user" + options + "attrs==1.0\npip " + own + "/bin/python3 -m pip install" + options + "attrs==1.0\n"
	if !strings.HasPrefix(string(got), want) || !strings.HasSuffix(string(got), " "+to+"/other/env\n") {
		t.Errorf("they were asked\n%s\nwant\n%s and the environment of no known version", got, want)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if report, err := os.ReadFile(to + "/maia-recovered/packages.drift"); err != nil || !strings.Contains(string(report), "/managed/python3 is managed by others") {
		t.Errorf("what differs: %s %v", report, err)
	}
	// Once more: nothing is left to install, and nothing is made twice.
	m.run(script, append(args, "--only", "packages")...).want(t, 0, "There is nothing to do.")
	if text, err := os.ReadFile(log); err == nil {
		t.Errorf("again: %s", text)
	}
}
