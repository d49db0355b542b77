package keychain

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keybase/dbus"
)

// busConfig has no folders of services: nothing of the machine is started on such a bus.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
`

// bus is a private session bus, for one test.
type bus struct {
	dir  string // home and runtime directory of whatever runs on the bus
	stop func()
}

// startBus starts a bus and makes it the session bus of this process for the length of the test.
func startBus(t *testing.T) *bus {
	t.Helper()
	// Not t.TempDir: the path of a socket is 107 bytes at most.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	writeFile(t, config, fmt.Sprintf(busConfig, dir))
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, cmd)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start dbus-daemon: %v", err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	return &bus{dir, stop}
}

// start starts a daemon in the foreground; it ends with the test, or when stop is called.
func start(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// connect returns a connection of the test's own.
func (b *bus) connect(t *testing.T) *dbus.Conn {
	t.Helper()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// waitFor waits until somebody owns a name.
func (b *bus) waitFor(t *testing.T, name string) {
	t.Helper()
	conn := b.connect(t)
	for range 1000 {
		var owned bool
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if owned {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nobody owns %s", name)
}

// own exports v under a name.
func (b *bus) own(t *testing.T, conn *dbus.Conn, name string, v any, path dbus.ObjectPath, iface string) {
	t.Helper()
	if err := conn.Export(v, path, iface); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", name, reply, err)
	}
}

// keyring starts gnome-keyring. A password makes and unlocks its login keyring; without one, that of an earlier run
// stays locked, and there is none if there was none.
func (b *bus) keyring(t *testing.T, password string) (stop func()) {
	t.Helper()
	args := []string{"--foreground", "--components=secrets"}
	if password != "" {
		args = append(args, "--unlock")
	}
	cmd := exec.Command("gnome-keyring-daemon", args...)
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_RUNTIME_DIR="+b.dir, "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir,
		"XDG_CACHE_HOME="+b.dir)
	cmd.Stdin = strings.NewReader(password)
	stop = start(t, cmd)
	b.waitFor(t, "org.freedesktop.secrets")
	return stop
}

// Without an address the library would start a bus: it must not be asked.
func TestNoBus(t *testing.T) {
	there := func(string) (fs.FileInfo, error) { return nil, nil }
	absent := func(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
	for _, tc := range []struct {
		address string
		stat    func(string) (fs.FileInfo, error)
		ok      bool
	}{
		{"unix:path=/x", absent, true},
		{"", there, true},
		{"", absent, false},
		{"autolaunch:", absent, false},
	} {
		if why := noBusAt(tc.address, "/run/user/1/bus", tc.stat); (why == "") != tc.ok {
			t.Errorf("%q: %q", tc.address, why)
		}
	}
}

func TestBusNotThere(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "bus"))
	store := System(Options{})
	_, err := store.Get(t.Context(), item)
	for verb, err := range map[string]error{
		"get": err, "set": store.Set(t.Context(), item, NewSecret([]byte("x"))), "delete": store.Delete(t.Context(), item),
	} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
