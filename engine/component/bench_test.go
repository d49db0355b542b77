package component

import (
	"fmt"
	"testing"
)

// BenchmarkTake lists a Maia of 1,500 files: all of them new, or known and so not opened.
func BenchmarkTake(b *testing.B) {
	const n = 1500
	files := map[string]string{"claude/data/jobs.db": db, "claude/data/logs/today.log": "x"}
	for i := range n {
		files[fmt.Sprintf("claude/context/area_%02d/note_%d.md", i%40, i)] = "# a note\n"
	}
	root := maia(b, files)
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("files=%d/known=%v", n, known), func(b *testing.B) {
			o := Options{Root: root}
			if known {
				kinds := map[string]Kind{}
				inv, err := Take(b.Context(), o)
				must(b, err)
				for _, e := range inv.Entries {
					kinds[e.Source] = e.Kind
				}
				o.Known = func(source string, _ Stat) (Kind, bool) { k, ok := kinds[source]; return k, ok }
			}
			b.ReportAllocs()
			for b.Loop() {
				inv, err := Take(b.Context(), o)
				if err != nil || len(inv.Entries) < n {
					b.Fatal(len(inv.Entries), err)
				}
			}
		})
	}
}
