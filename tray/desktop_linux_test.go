package tray_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"maia-dr/resources"
	"maia-dr/tray/menu"
)

// busConfig is a bus that starts nothing by itself: the session's own would start the machine's services.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=%s</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
`

// patience is how long anything may take before the test gives it up: it says nothing of how long it should.
const patience = 3 * time.Minute

// built is the folder of the program, once there is one.
var built string

// build builds the program as it is, but for its clock, and without the race detector: the library of the menu bar has
// races of its own.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "menu")
	if err != nil {
		return "", err
	}
	built = dir
	bin := filepath.Join(dir, "maia-dr")
	top, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(top, "main.go"): filepath.Join(top, "tray", "testdata", "main.go")}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, ".")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// desktop is a session bus with a place for icons and a notification service.
type desktop struct {
	t       testing.TB
	dir     string
	address string
	conn    *dbus.Conn
	signals chan *dbus.Signal
	woken   chan struct{}

	mu         sync.Mutex
	registered []string // unique names, in the order in which they came
	notes      []note
}

type note struct{ title, body string }

func startDesktop(t testing.TB) *desktop {
	t.Helper()
	// Not t.TempDir: the path of a socket is 107 bytes at most.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	write(t, config, fmt.Sprintf(busConfig, dir))
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start dbus-daemon: %v", err)
	}
	d := &desktop{t: t, dir: dir, address: strings.TrimSpace(line), signals: make(chan *dbus.Signal, 10000), woken: make(chan struct{}, 1)}
	d.conn = d.connect()
	d.conn.Signal(d.signals)
	for _, i := range []string{"com.canonical.dbusmenu", "org.kde.StatusNotifierItem", "org.freedesktop.DBus.Properties"} {
		if err := d.conn.AddMatchSignal(dbus.WithMatchInterface(i)); err != nil {
			t.Fatal(err)
		}
	}
	d.serve(d.conn, "org.freedesktop.Notifications", "/org/freedesktop/Notifications", map[string]any{"Notify": d.notify})
	return d
}

func (d *desktop) connect() *dbus.Conn {
	d.t.Helper()
	conn, err := dbus.Connect(d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return conn
}

func (d *desktop) serve(conn *dbus.Conn, name, path string, methods map[string]any) {
	d.t.Helper()
	if err := conn.ExportMethodTable(methods, dbus.ObjectPath(path), name); err != nil {
		d.t.Fatal(err)
	}
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		d.t.Fatal(reply, err)
	}
}

// startPanel makes the place for icons. stop takes it away again.
func (d *desktop) startPanel() (stop func()) {
	d.t.Helper()
	const name = "org.kde.StatusNotifierWatcher"
	conn := d.connect()
	d.serve(conn, name, "/StatusNotifierWatcher", map[string]any{"RegisterStatusNotifierItem": func(sender dbus.Sender, _ string) *dbus.Error {
		d.mu.Lock()
		d.registered = append(d.registered, string(sender))
		d.mu.Unlock()
		d.wake()
		return nil
	}})
	return func() { conn.Close() }
}

func (d *desktop) notify(_ string, _ uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.mu.Lock()
	d.notes = append(d.notes, note{title, body})
	n := len(d.notes)
	d.mu.Unlock()
	d.wake()
	return uint32(n), nil
}

// wake makes wait look again.
func (d *desktop) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *desktop) titles() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []string{}
	for _, n := range d.notes {
		out = append(out, n.title)
	}
	return out
}

func (d *desktop) registrations() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.registered)
}

// wait waits until a condition holds; it is asked again whenever something happened on the bus.
func (d *desktop) wait(what string, ok func() bool) {
	d.t.Helper()
	if !d.within(patience, ok) {
		d.t.Fatalf("gave up waiting until %s; told: %q", what, d.titles())
	}
}

func (d *desktop) within(limit time.Duration, ok func() bool) bool {
	over := time.After(limit)
	for !ok() {
		select {
		case <-d.signals:
		case <-d.woken:
		case <-over:
			return false
		}
	}
	return true
}

// app is the program as a child.
type app struct {
	d      *desktop
	cmd    *exec.Cmd
	out    bytes.Buffer
	owner  string // its name on the bus
	exited chan error
}

// program returns a command of the program in the desktop's session, with the sample's home.
func (d *desktop) program(env []string, args ...string) *exec.Cmd {
	d.t.Helper()
	bin, err := build()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Dir = d.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "DBUS_SESSION_BUS_ADDRESS=" + d.address}, env...)
	return cmd
}

// start starts the menu, and waits until it is shown.
func (d *desktop) start(env []string, args ...string) *app {
	d.t.Helper()
	a := &app{d: d, cmd: d.program(env, args...), exited: make(chan error, 1)}
	a.cmd.Stdout, a.cmd.Stderr = &a.out, &a.out
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	before := d.registrations()
	if err := a.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { a.exited <- a.cmd.Wait(); d.wake() }()
	d.t.Cleanup(func() { a.cmd.Process.Kill() })
	d.wait("the icon is there", func() bool {
		select {
		case err := <-a.exited:
			d.t.Fatalf("it ended: %v\n%s", err, a.out.String())
		default:
		}
		return d.registrations() > before
	})
	d.mu.Lock()
	a.owner = d.registered[len(d.registered)-1]
	d.mu.Unlock()
	return a
}

// ends waits until the program ends by itself.
func (a *app) ends() error {
	a.d.t.Helper()
	select {
	case err := <-a.exited:
		return err
	case <-time.After(patience):
		a.d.t.Fatal("it does not end")
		return nil
	}
}

func (a *app) property(name string) dbus.Variant {
	a.d.t.Helper()
	v, err := a.d.conn.Object(a.owner, "/StatusNotifierItem").GetProperty("org.kde.StatusNotifierItem." + name)
	if err != nil {
		a.d.t.Fatal(err)
	}
	return v
}

func (a *app) tooltip() string {
	s, _ := a.property("ToolTip").Value().([]any)
	if len(s) < 3 {
		return ""
	}
	title, _ := s[2].(string)
	return title
}

// icon returns the name of the icon that is shown.
func (a *app) icon() menu.Icon {
	a.d.t.Helper()
	shown, _ := a.property("IconPixmap").Value().([][]any)
	if len(shown) != 1 {
		return ""
	}
	pixels, _ := shown[0][2].([]byte)
	return pictures()[string(pixels)]
}

// pictures are the icons by their pixels, as they go over the bus.
var pictures = sync.OnceValue(func() map[string]menu.Icon {
	out := map[string]menu.Icon{}
	for _, name := range menu.Icons() {
		b, err := resources.Icon(string(name), resources.OnDark)
		if err != nil {
			panic(err)
		}
		m, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		var pixels []byte
		for y := range m.Bounds().Dy() {
			for x := range m.Bounds().Dx() {
				r, g, b, a := m.At(x, y).RGBA()
				pixels = append(pixels, byte(a), byte(r), byte(g), byte(b))
			}
		}
		out[string(pixels)] = name
	}
	return out
})

// row is a row as the desktop gets it.
type row struct {
	id       int32
	label    string
	enabled  bool
	visible  bool
	tick     bool
	ticked   bool
	line     bool
	children []row
}

// rows reads the whole menu.
func (a *app) rows() []row {
	a.d.t.Helper()
	var revision uint32
	var root struct {
		ID         int32
		Properties map[string]dbus.Variant
		Children   []dbus.Variant
	}
	err := a.d.conn.Object(a.owner, "/StatusNotifierItem/menu").Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root)
	if err != nil {
		a.d.t.Fatal(err)
	}
	return children(root.Children)
}

func children(list []dbus.Variant) (out []row) {
	for _, v := range list {
		node, ok := v.Value().([]any)
		if !ok || len(node) != 3 {
			continue
		}
		p, _ := node[1].(map[string]dbus.Variant)
		sub, _ := node[2].([]dbus.Variant)
		r := row{enabled: true, visible: true, children: children(sub)}
		r.id, _ = node[0].(int32)
		for name, v := range p {
			switch x := v.Value().(type) {
			case string:
				switch name {
				case "label":
					r.label = strings.ReplaceAll(x, "__", "_")
				case "toggle-type":
					r.tick = x == "checkmark"
				case "type":
					r.line = x == "separator"
				}
			case bool:
				switch name {
				case "enabled":
					r.enabled = x
				case "visible":
					r.visible = x
				}
			case int32:
				r.ticked = r.ticked || name == "toggle-state" && x == 1
			}
		}
		out = append(out, r)
	}
	return out
}

// text writes the menu as menu.Menu does.
func (a *app) text() string {
	a.d.t.Helper()
	return "Icon: " + string(a.icon()) + "\nTooltip: " + a.tooltip() + "\n\n" + lines(a.rows(), "")
}

func lines(rows []row, indent string) string {
	var b strings.Builder
	for _, r := range rows {
		switch {
		case r.line:
			b.WriteString("----------\n")
			continue
		case !r.visible:
			continue
		}
		b.WriteString(indent)
		switch {
		case r.tick && r.ticked:
			b.WriteString("[x] ")
		case r.tick:
			b.WriteString("[ ] ")
		}
		if r.enabled {
			b.WriteString(r.label + "\n")
		} else {
			b.WriteString("(" + r.label + ")\n")
		}
		b.WriteString(lines(r.children, indent+"    "))
	}
	return b.String()
}

// find returns the visible row whose label begins so.
func find(rows []row, prefix string) (row, bool) {
	for _, r := range rows {
		if !r.visible || r.line {
			continue
		}
		if strings.HasPrefix(r.label, prefix) {
			return r, true
		}
		if sub, ok := find(r.children, prefix); ok {
			return sub, true
		}
	}
	return row{}, false
}

// shows reports whether a row begins so.
func (a *app) shows(prefix string) bool {
	_, ok := find(a.rows(), prefix)
	return ok
}

// click clicks on a row, as the desktop does, once it is there.
func (a *app) click(prefix string) {
	a.d.t.Helper()
	var r row
	if !a.d.within(patience, func() (ok bool) {
		r, ok = find(a.rows(), prefix)
		return ok && r.enabled
	}) {
		a.d.t.Fatalf("gave up waiting until %s can be clicked:\n%s", prefix, a.text())
	}
	a.event(r.id, "clicked")
}

func (a *app) event(id int32, kind string) {
	a.d.t.Helper()
	call := a.d.conn.Object(a.owner, "/StatusNotifierItem/menu").Call("com.canonical.dbusmenu.Event", 0, id, kind, dbus.MakeVariant(""), uint32(0))
	if call.Err != nil {
		a.d.t.Fatal(call.Err)
	}
}

// open opens the menu.
func (a *app) open() { a.d.t.Helper(); a.event(0, "opened") }

func write(t testing.TB, path, text string) {
	t.Helper()
	// As the program does: a reader sees the old or the new.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
