package resources

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

func TestRestore(t *testing.T) {
	t.Parallel()
	b := newBuilder(filepath.Join(t.TempDir(), "MaiaBackups"), fixture(t)).write(t)
	for _, c := range []struct {
		name, tar string
		writers   []string
	}{
		{"tar=gnu,writer=perl", "tar", []string{"perl", "zsh"}},
		{"tar=bsd,writer=zsh", "bsdtar", []string{"zsh"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, c.tar, c.writers...)
			to := newTarget(t)
			script := filepath.Join(b.dir, "restore_maia.sh")
			m.run(script, "--to", to, "--yes").want(t, 0, "142 files (4 databases)", "not authenticated")
			checkTree(t, to, b.items)
			m.run(script, "--to", to, "--yes").want(t, 0, "There is nothing to do.")
			checkTree(t, to, b.items)
			for _, dir := range []string{m.home, filepath.Dir(to)} {
				entries, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if e.Name() != filepath.Base(to) {
						t.Errorf("%s appeared in %s", e.Name(), dir)
					}
				}
			}
		})
	}
}

// TestSlowWriter writes extents with neither perl nor zsh.
func TestSlowWriter(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	m := newMachine(t, "bsdtar")
	to := newTarget(t)
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes").want(t, 0)
	checkTree(t, to, b.items)
}

// TestBSDTools runs the script with the Mac's spellings of stat, date and touch: the GNU ones fail.
func TestBSDTools(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "25")
	b := smallRepository(t, nil)
	m := newMachine(t, "bsdtar", "perl")
	m.wrapBSD()
	for _, touch := range []string{"", `for o; do if [ "$o" = -d ]; then exit 1; fi; done; exec REAL "$@"`} {
		faults.Inject()
		if touch != "" {
			m.wrap("touch", touch)
		}
		to := newTarget(t)
		script := filepath.Join(b.dir, "restore_maia.sh")
		m.run(script, "--to", to, "--yes").want(t, 0)
		if touch == "" {
			checkTree(t, to, b.items)
		}
		m.run(script, "--to", to, "--yes").want(t, 0, "There is nothing to do.")
	}
}

// wrapBSD gives the machine the Mac's spellings of stat and date: the GNU ones fail. Files of a name that is in the folder
// $CLOUD are dataless.
func (m *machine) wrapBSD() {
	m.t.Helper()
	m.wrap("stat", `follow=
if [ "$1" = -L ]; then follow=-L; shift; fi
if [ "$1" != -f ]; then echo "stat: illegal option $1" >&2; exit 1; fi
case $2 in
'%Xf') shift 2; for file; do if [ -e "$CLOUD/${file##*/}" ]; then echo 40000020; else echo 0; fi; done; exit 0 ;;
'%Xf %z %N') shift 2
  for file; do
    flags=0
    if [ -e "$CLOUD/${file##*/}" ]; then flags=40000020; fi
    REAL $follow -c "$flags %s %n" "$file"
  done; exit 0 ;;
'%z') shift 2; exec REAL $follow -c %s "$@" ;;
'%z %N') shift 2; exec REAL $follow -c '%s %n' "$@" ;;
'%z %p %Fm %l') shift 2; code=0
  for file; do
    set -- $(REAL $follow -c '%s %f %.9Y %h' "$file") || { code=1; continue; }
    # Before 1970, the Mac's prints the two numbers that the system keeps: the second one counts upwards.
    time=$3
    case $time in -*.000000000) ;; -*) time=$((${time%.*} - 1)).$(printf %09d $((2000000000 - 1${time#*.}))) ;; esac
    printf '%d %o %s %d\n' "$1" "0x$2" "$time" "$4"
  done; exit $code ;;
esac
echo "stat: format $2" >&2; exit 1`)
	m.wrap("date", `case "$1$2" in -u-d|-d*) echo "date: illegal option" >&2; exit 1 ;; esac
if [ "$1" = -r ]; then n=$2; shift 2; exec REAL -d "@$n" "$@"; fi
exec REAL "$@"`)
}

// wrap puts a shell script in front of a tool; REAL in it stands for the tool.
func (m *machine) wrap(name, script string) {
	m.t.Helper()
	path := filepath.Join(m.bin, name)
	program, err := os.Readlink(path)
	if err != nil {
		if program, err = exec.LookPath(name); err != nil {
			m.t.Fatal(err)
		}
	}
	m.program(name, "#!"+filepath.Join(m.bin, "sh")+"\n"+strings.ReplaceAll(script, "REAL", program)+"\n")
}

func TestMissingTool(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "25")
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	to := newTarget(t)
	for tool := range strings.FieldsSeq("awk tar gzip openssl find xargs stat od") {
		faults.Inject()
		newMachine(t, "tar", "perl").without(tool).run(script, "--to", to, "--yes").want(t, 1, "lacks what a restore needs: "+tool)
	}
	newMachine(t, "tar").without("dd").run(script, "--to", to, "--yes").want(t, 1, "perl, or zsh, or dd")
	m := newMachine(t, "tar", "perl")
	m.wrap("openssl", "exit 1")
	m.run(script, "--to", to, "--yes").want(t, 1, "openssl dgst -sha256 does not work")
	if _, err := os.Lstat(to); err == nil {
		t.Error("the target was made")
	}
	newMachine(t, "tar", "perl").without("sqlite3", "ps").run(script, "--to", to, "--yes").want(t, 0, "sqlite3 is not here")
	checkTree(t, to, b.items)
}

// TestStatic: the shell and shellcheck find nothing.
func TestStatic(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"bash", "-n", "restore_maia.sh"}, {"shellcheck", "restore_maia.sh"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if !strings.HasSuffix(string(RestoreScript), "\nmain \"$@\"; exit \"$?\"\n") {
		t.Error("the script does not end with the call of main: it could change while it runs")
	}
}
