package matrix

import (
	"fmt"
	"slices"
	"testing"
)

// fake is a test that ends when it is told to.
type fake struct {
	failed   bool
	cleanups []func()
	said     []string
}

func (f *fake) Helper()                   {}
func (f *fake) Failed() bool              { return f.failed }
func (f *fake) Cleanup(do func())         { f.cleanups = append(f.cleanups, do) }
func (f *fake) Attr(key, value string)    { f.said = append(f.said, key+" "+value) }
func (f *fake) Fatalf(s string, a ...any) { f.said = append(f.said, fmt.Sprintf(s, a...)) }

func (f *fake) end() []string {
	for _, do := range slices.Backward(f.cleanups) {
		do()
	}
	return f.said
}

func TestCounting(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(f *fake)
		want string
	}{
		"all survived": {func(f *fake) {
			c := Of(f, "15")
			c.Inject()
			c.Inject()
		}, "[faults row=15 injected=2 survived=2]"},
		"nothing injected": {func(f *fake) { Of(f, "15") }, "[faults row=15 injected=0 survived=0]"},
		"the second is lost": {func(f *fake) {
			c := Of(f, "15")
			c.Inject()
			c.Inject()
			f.failed = true
			c.Inject()
		}, "[faults row=15 injected=3 survived=1]"},
		"two rows":     {func(f *fake) { Of(f, "1", "31a").Inject() }, "[faults row=1 injected=1 survived=1 faults row=31a injected=1 survived=1]"},
		"altogether":   {func(f *fake) { Count(f, 7, "15") }, "[faults row=15 injected=7 survived=7]"},
		"all are lost": {func(f *fake) { Count(f, 7, "15"); f.failed = true }, "[faults row=15 injected=7 survived=0]"},
		"no such row":  {func(f *fake) { Count(f, 7, "99"); f.cleanups = nil }, `[no row "99" in the fault matrix]`},
	} {
		f := &fake{}
		c.do(f)
		if got := fmt.Sprint(f.end()); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestReports(t *testing.T) {
	want := Report{"31a", 12, 11}
	if got, err := Parse(want.String()); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"", "row=0 injected=1 survived=1", "row=1 injected=x survived=1"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestRows(t *testing.T) {
	if len(Rows) != 35 { // 1 to 34, and 31a
		t.Errorf("%d rows", len(Rows))
	}
	for i, r := range Rows {
		if r.ID == "" || r.Fault == "" || r.How == "" || slices.ContainsFunc(Rows[:i], func(o Row) bool { return o.ID == r.ID }) {
			t.Errorf("%+v", r)
		}
	}
}
