package policy

// ImportRules say who may import whom. A line reads
//
//	PACKAGES  VERB  PACKAGES : reason
//
// Packages are patterns relative to the module, or import paths; "..." ends a
// pattern as in the go command, alone it is the whole module, "." is its root,
// std the standard library, C is cgo, and a leading "-" takes packages out.
//
//	never imports   no import of it in the package's files, tests aside
//	never reaches   nor through other packages
//	only imports    nothing but these, tests aside
const ImportRules = `
engine/... -engine/cli/...   never reaches  engine/cli/... tray/... keychain/... launchd/... : the engine asks for a password function, a clock and an event sink; whoever calls it brings them
engine/...                   never imports  C              : the engine builds and is tested with no C compiler
engine/* -engine/cli         never imports  engine         : the packages below know nothing of the verbs above
engine/fsx                   never imports  ...            : the bottom: what writes files knows nothing of what is in them
engine/retention engine/schedule tray/menu   only imports   std : pure decisions, tested without a disk, a clock or a screen
engine/relocate              only imports   std engine/vault howett.net/plist : paths are mapped without a disk; the vault knows how to read a hostile property list
engine/event                 only imports   std engine/repository : what happened is told in the words of the repository, and nothing of how it is shown
engine/repository/inflate    only imports   std github.com/klauspost/compress/gzip : bytes in, bytes out, or an error; it is fuzzed alone
engine/repository            never reaches  engine/component engine/sqlitesnap engine/config : the format can be read by a program that knows nothing of Maia
... -engine/cli/... -.       never imports  github.com/spf13/cobra github.com/spf13/pflag : only the command line knows flags
... -engine/cli/...          never imports  github.com/schollz/progressbar/v3 golang.org/x/term : only the command line knows a terminal
... -engine/sqlitesnap/... -engine/fixture/...  never imports  modernc.org/sqlite database/sql : databases are opened where the locks are understood
... -keychain                never imports  github.com/keybase/... : the traps of the keychain are known in one place; everybody else has its Store
... -tray                    never imports  fyne.io/systray : one goroutine makes all calls of the menu bar, and knows its traps
... -tray/notify             never imports  github.com/gen2brain/beeep : notifications are sent in one place, once
... -tray/...                never imports  github.com/godbus/dbus/v5 : each use has a connection of its own, for the reasons given there
tray/...                     never reaches  engine engine/cli keychain launchd : the menu shows a status, and starts commands; whoever calls it brings both
...                          never imports  testing        : what only tests need is in test files
... -packaging/...           never imports  packaging/...  : helpers of the build are no part of the program
`

// Call forbids functions of packages outside the places that are named.
type Call struct {
	Functions []string // import path and name, "os.Exit"; a method is named by its package's import alone
	Why       string
	Except    []Exception
}

// Exception allows a call in files that match a pattern (path.Match for a
// file, DIR/... for all files below a folder).
type Exception struct {
	Files  string
	Reason string
}

// Calls are looked for in files that are not tests.
var Calls = []Call{
	{
		Functions: []string{
			"os.Exit", "syscall.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "log.Panicln",
		},
		Why: "only main ends the process: deferred work must run, and exit codes have one table",
		Except: []Exception{
			{"main.go", "the composition root"},
			{"packaging/...", "helpers of the build are small mains of their own"},
		},
	},
	{
		Functions: []string{
			"time.Now", "time.Since", "time.Until", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv",
			"os.UserHomeDir", "os.UserCacheDir", "os.UserConfigDir", "os.Getwd", "os.Hostname", "os.Getpid", "os/user.Current",
			"crypto/rand.Read", "crypto/rand.Reader", "crypto/rand.Text", "crypto/rand.Int",
		},
		Why: "time, randomness, home and environment come in through engine.Env, so that tests choose them",
		Except: []Exception{
			{"engine/env.go", "the one place that asks the system"},
			{"keychain/bus_linux.go", "the D-Bus library reads its address there; this looks before the library starts a bus of its own"},
			{"packaging/...", "helpers of the build run in the developer's environment"},
		},
	},
	{
		Functions: []string{
			"os.Create", "os.CreateTemp", "os.WriteFile", "os.Rename", "os.Remove", "os.RemoveAll", "os.Mkdir", "os.MkdirAll",
			"os.MkdirTemp", "os.Link", "os.Symlink", "os.Chmod", "os.Chown", "os.Lchown", "os.Chtimes", "os.Truncate", "os.CopyFS",
			"os.OpenFile",
			"golang.org/x/sys/unix.Rename", "golang.org/x/sys/unix.Renameat", "golang.org/x/sys/unix.Unlink", "golang.org/x/sys/unix.Unlinkat",
			"golang.org/x/sys/unix.Mkdir", "golang.org/x/sys/unix.Symlink", "golang.org/x/sys/unix.Chmod", "golang.org/x/sys/unix.UtimesNanoAt",
			"golang.org/x/sys/unix.Clonefile", "syscall.Rename", "syscall.Unlink", "syscall.Mkdir",
		},
		Why: "every change to a disk goes through fsx: it knows what must be synced, and tests make it fail there",
		Except: []Exception{
			{"engine/fsx/...", "it is fsx"},
			{"engine/fixture/...", "makes a sample Maia in a folder of its own; a crash loses nothing"},
			{"engine/cli/tty.go", "writes questions to the terminal, which is no disk"},
			{"packaging/bench/...", "the work folder of a benchmark, removed at its end, and tables in documents that git keeps"},
			{"engine/sqlitesnap/...", "scratch copies of a database, removed when the snapshot is closed"},
		},
	},
}

// Lines that a Go file may have; tests may be longer.
const (
	MaxLines  = 500 // more is an error
	WarnLines = 400 // more is a remark
)

// BuildPlaces are folders of build machines. A file that names one was written
// with that machine in mind. Each is split so that this file names none.
var BuildPlaces = []string{
	"/wo" + "rk/", "/work" + "space/", "/bui" + "lds/", "/home/" + "runner/", "/ro" + "ot/",
	"/go" + "/pkg/mod", "/usr/local" + "/go/", "/tmp/" + "go-build",
}
