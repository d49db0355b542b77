package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
)

// find returns what a stream of the scanner reports when b is written in pieces of these sizes, the rest at once.
func scanAll(s *Scanner, b []byte, pieces ...int) []Match {
	var found []Match
	t := s.Stream(func(m Match) { found = append(found, m) })
	for _, n := range pieces {
		t.Write(b[:n])
		b = b[n:]
	}
	t.Write(b)
	sortMatches(found)
	return found
}

func sortMatches(m []Match) {
	slices.SortFunc(m, func(a, b Match) int {
		return strings.Compare(fmt.Sprintf("%020d %s %s", a.Offset, a.Label, a.Form), fmt.Sprintf("%020d %s %s", b.Offset, b.Label, b.Form))
	})
}

// naive finds the same by looking at every place for every form.
func naive(values []Needle, b []byte) []Match {
	var found []Match
	for _, v := range values {
		if len(v.Value) < MinNeedle {
			continue
		}
		forms(v.Value, func(form Form, pattern []byte) {
			if len(pattern) < MinNeedle {
				return
			}
			for from := 0; ; {
				i := bytes.Index(b[from:], pattern)
				if i < 0 {
					return
				}
				found = append(found, Match{v.Label, form, int64(from + i)})
				from += i + 1
			}
		})
	}
	sortMatches(found)
	return found
}

// wantFound compares what is reported with what there is, of which a value's first MaxReports may stand for all.
func wantFound(t *testing.T, got, all []Match) {
	t.Helper()
	count := func(list []Match) map[string]int {
		n := map[string]int{}
		for _, m := range list {
			n[m.Label]++
		}
		return n
	}
	reported := count(got)
	for label, n := range count(all) {
		if reported[label] != min(n, MaxReports) {
			t.Fatalf("%s: %d reports of %d places", label, reported[label], n)
		}
	}
	there := map[Match]bool{}
	for _, m := range all {
		there[m] = true
	}
	for i, m := range got {
		if !there[m] || i > 0 && got[i-1] == m {
			t.Fatalf("reported twice, or wrongly: %+v", m)
		}
	}
}

// randomNeedles returns values of a small alphabet, so that they overlap, and such that are parts of others.
func randomNeedles(rng *rand.Rand) []Needle {
	var values []Needle
	add := func(v []byte) { values = append(values, Needle{v, fmt.Sprint("value ", len(values))}) }
	text := func(n int, alphabet string) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return b
	}
	alphabets := []string{"ab", "a", "\x00\x01", "01", "<&\"'/ é", "abcdefgh+/%-_~", "\xff\xfe\x80a"}
	for range 1 + rng.IntN(8) {
		add(text(rng.IntN(30), alphabets[rng.IntN(len(alphabets))]))
	}
	for range rng.IntN(4) {
		v := values[rng.IntN(len(values))].Value
		add(slices.Concat(v, text(rng.IntN(4), "ab"))) // it begins with another
		if len(v) > MinNeedle {
			add(v[1+rng.IntN(len(v)-MinNeedle):]) // it ends another
		}
	}
	add(text(100+rng.IntN(200), "abc"))
	return values
}

func randomHaystack(rng *rand.Rand, values []Needle) []byte {
	var b []byte
	for len(b) < 100+rng.IntN(1500) {
		switch rng.IntN(4) {
		case 0:
			for range rng.IntN(20) {
				b = append(b, "ab01\x00<"[rng.IntN(6)])
			}
		case 1:
			for range rng.IntN(20) {
				b = append(b, byte(rng.Uint32()))
			}
		default:
			all := [][]byte{values[0].Value}
			if v := values[rng.IntN(len(values))].Value; len(v) >= MinNeedle {
				forms(v, func(_ Form, p []byte) { all = append(all, p) })
			}
			p := all[rng.IntN(len(all))]
			if rng.IntN(5) == 0 && len(p) > 0 {
				p = p[:len(p)-1]
			}
			b = append(b, p...)
		}
	}
	return b
}

func TestScannerAgainstNaiveSearch(t *testing.T) {
	matches := 0
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 5))
		values := randomNeedles(rng)
		s := NewScanner(values)
		b := randomHaystack(rng, values)
		all := naive(values, b)
		matches += len(all)
		wantFound(t, scanAll(s, b), all)
		for range 3 {
			var pieces []int
			most := 1 + rng.IntN(200)
			for left := len(b); left > 0; {
				n := min(left, rng.IntN(most+1))
				pieces, left = append(pieces, n), left-n
			}
			wantFound(t, scanAll(s, b, pieces...), all)
		}
	}
	if matches < 3_000 {
		t.Errorf("only %d places in all", matches)
	}
}

// A value is found at every alignment, at both ends, and across every border.
func TestScannerAtEveryPlace(t *testing.T) {
	for _, n := range []int{8, 9, 10, 11, 12, 13, 31} {
		value := []byte("0123456789abcdefghijklmnopqrstuv"[:n])
		s := NewScanner([]Needle{{value, "x"}})
		for before := range 12 {
			for after := range 12 {
				b := slices.Concat(bytes.Repeat([]byte("."), before), value, bytes.Repeat([]byte("."), after))
				want := []Match{{"x", Plain, int64(before)}}
				for cut := range len(b) {
					if got := scanAll(s, b, cut); !slices.Equal(got, want) {
						t.Fatalf("%d bytes at %d, cut at %d: %+v", n, before, cut, got)
					}
				}
				ones := slices.Repeat([]int{1}, len(b))
				if got := scanAll(s, b, ones...); !slices.Equal(got, want) {
					t.Fatalf("%d bytes at %d, byte by byte: %+v", n, before, got)
				}
			}
		}
	}
}

// One changed byte is no match.
func TestScannerIsExact(t *testing.T) {
	value := []byte("correct horse battery staple")
	s := NewScanner([]Needle{{value, "x"}})
	for i := range value {
		for _, mask := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(value)
			b[i] ^= mask
			if got := scanAll(s, b); len(got) != 0 {
				t.Fatalf("byte %d ^ %#x: %+v", i, mask, got)
			}
		}
	}
}

// Forms are what the encoders themselves write.
func TestScannerFindsEncodedValues(t *testing.T) {
	value := "a<b>&c\"d'e\\f/ g+h~i%j\tk\nl\u2028\U0001f511é$=:@;,!*()"
	encode := func(html bool, v any) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var asXML bytes.Buffer
	if err := xml.EscapeText(&asXML, []byte(value)); err != nil {
		t.Fatal(err)
	}
	utf16Bytes := func(high, low int) string {
		var b []byte
		for _, u := range utf16.Encode([]rune("<" + value + ">")) {
			pair := [2]byte{}
			pair[high], pair[low] = byte(u>>8), byte(u)
			b = append(b, pair[:]...)
		}
		return string(b)
	}
	s := NewScanner([]Needle{{[]byte(value), "x"}})
	want := func(name string, form Form, text string) {
		t.Helper()
		if got := scanAll(s, []byte(text)); len(got) != 1 || got[0].Form != form {
			t.Errorf("%s: %+v", name, got)
		}
	}
	want("plain", Plain, "<"+value+">")
	want("Go JSON", JSON, encode(true, map[string]any{"k": value}))
	want("Go JSON without HTML", JSON, encode(false, value))
	want("Python JSON", JSON, `"a<b>&c\"d'e\\f/ g+h~i%j\tk\nl\u2028\ud83d\udd11\u00e9$=:@;,!*()"`)
	want("JavaScript JSON", JSON, `"a<b>&c\"d'e\\f/ g+h~i%j\tk\nl`+"\u2028\U0001f511é"+`$=:@;,!*()"`)
	want("PHP JSON", JSON, `"a<b>&c\"d'e\\f\/ g+h~i%j\tk\nl\u2028\ud83d\udd11\u00e9$=:@;,!*()"`)
	want("Go XML", XML, asXML.String())
	want("Go HTML", XML, html.EscapeString(value))
	want("plist", XML, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value))
	want("Python HTML", XML, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(value))
	want("Go path", Percent, (&url.URL{Path: "/" + value}).EscapedPath())
	want("Go path element", Percent, "https://x/"+url.PathEscape(value))
	want("Go query", Percent, "https://x/?"+url.Values{"k": {value}}.Encode())
	want("Go credentials", Percent, (&url.URL{Scheme: "https", User: url.UserPassword("me", value), Host: "x"}).String())
	want("encodeURIComponent", Percent, "a%3Cb%3E%26c%22d'e%5Cf%2F%20g%2Bh~i%25j%09k%0Al%E2%80%A8%F0%9F%94%91%C3%A9%24%3D%3A%40%3B%2C!*()")
	want("lower-case digits", Percent, "a%3cb%3e%26c%22d%27e%5cf%2f%20g%2bh~i%25j%09k%0al%e2%80%a8%f0%9f%94%91%c3%a9%24%3d%3a%40%3b%2c%21%2a%28%29")
	want("HTML form", Percent, strings.ReplaceAll(url.QueryEscape(value), "~", "%7E"))
	want("UTF-16BE", UTF16, utf16Bytes(0, 1))
	want("UTF-16LE", UTF16, utf16Bytes(1, 0))
	want("hex", Hex, hex.EncodeToString([]byte("<"+value+">")))
	want("upper-case hex", Hex, strings.ToUpper(hex.EncodeToString([]byte("<"+value+">"))))
}

// Base64 shows a value wherever it stands in what was encoded, whatever its neighbours.
func TestScannerFindsBase64(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		value := make([]byte, 8+rng.IntN(20))
		around := make([]byte, 20)
		for _, b := range [][]byte{value, around} {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		}
		s := NewScanner([]Needle{{value, "x"}})
		for before := range 7 {
			for after := range 4 {
				whole := slices.Concat(around[:before], value, around[10:10+after])
				for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
					got := scanAll(s, []byte(enc.EncodeToString(whole)))
					if len(got) != 1 || got[0].Form != Base64 || got[0].Offset != int64((before*8+5)/6) {
						t.Fatalf("%d bytes before, %d behind: %+v", before, after, got)
					}
				}
			}
		}
	}
}

// All digits that are certain are compared, not fewer.
func TestBase64Middle(t *testing.T) {
	for before, want := range []string{"MTIzNDU2Nz", "EyMzQ1Njc4", "xMjM0NTY3O"} {
		if got := base64Middle(base64.RawStdEncoding, []byte("12345678"), before); string(got) != want {
			t.Errorf("%d bytes before: %s, want %s", before, got, want)
		}
	}
}

func TestScannerIgnoresShortValues(t *testing.T) {
	s := NewScanner([]Needle{{nil, "a"}, {[]byte("1234567"), "b"}, {[]byte("\u6f22\u5b57\u6f22"), "c"}})
	b := []byte("1234567 31323334353637 o\"\x22[W\x22o")
	if got := scanAll(s, b); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := scanAll(NewScanner(nil), b, 3, 4); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScannerReportsNoMoreThanEnough(t *testing.T) {
	s := NewScanner([]Needle{{[]byte("aaaaaaaa"), "often"}, {[]byte("only once"), "once"}})
	b := append(bytes.Repeat([]byte("a"), 10_000), "only once"...)
	counts := map[string]int{}
	stream := s.Stream(func(m Match) { counts[m.Label]++ })
	for i := range 3 {
		stream.Write(b[:5000])
		stream.Write(b[5000:])
		if counts["often"] != MaxReports*(i+1) || counts["once"] != i+1 {
			t.Fatalf("after %d streams: %v", i+1, counts)
		}
		stream.Reset()
	}
}

// Nothing of a former stream takes part after Reset.
func TestStreamReset(t *testing.T) {
	found := 0
	stream := NewScanner([]Needle{{[]byte("0123456789"), "x"}}).Stream(func(m Match) { found += 1 + int(m.Offset) })
	stream.Write([]byte("01234"))
	stream.Reset()
	stream.Write([]byte("56789"))
	stream.Reset()
	stream.Write([]byte("0123456789"))
	if found != 1 {
		t.Errorf("%d", found)
	}
}

func TestStreamsAreIndependent(t *testing.T) {
	values := randomNeedles(rand.New(rand.NewPCG(1, 5)))
	s := NewScanner(values)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(50) {
				b := randomHaystack(rand.New(rand.NewPCG(seed, i)), values)
				if got, all := scanAll(s, b, len(b)/3, len(b)/3), naive(values, b); len(all) < MaxReports && !slices.Equal(got, all) {
					t.Errorf("%+v, want %+v", got, all)
				}
			}
		})
	}
	wg.Wait()
}

func TestWriteAllocatesNothing(t *testing.T) {
	s := NewScanner(benchNeedles(100))
	found := 0
	stream := s.Stream(func(Match) { found++ })
	b := slices.Concat(randomData(10_000), benchNeedles(1)[0].Value, randomData(10_000))
	if n := testing.AllocsPerRun(100, func() { stream.Write(b); stream.Write(b[:10]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if found != MaxReports {
		t.Errorf("%d reports", found)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("password"), []byte("wordpass"), []byte("xpasswordpasswordpass"), uint8(3))
	f.Add([]byte("aaaaaaaa"), []byte("aaaaaaaaa"), []byte("aaaaaaaaaaaa"), uint8(1))
	f.Add([]byte("<secret>"), []byte("s\u00e9cret\xff\""), []byte(`\u003csecret\u003e3c7365637265743e`), uint8(7))
	f.Fuzz(func(t *testing.T, v, w, b []byte, size uint8) {
		if len(v)+len(w)+len(b) > 4000 {
			return
		}
		values := []Needle{{v, "v"}, {w, "w"}}
		s := NewScanner(values)
		all := naive(values, b)
		wantFound(t, scanAll(s, b), all)
		wantFound(t, scanAll(s, b, slices.Repeat([]int{int(size)}, len(b)/max(int(size), 1))...), all)
	})
}

// benchNeedles returns values as tokens and passwords are.
func benchNeedles(n int) []Needle {
	rng := rand.New(rand.NewPCG(9, 9))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-$&/+"
	var values []Needle
	for i := range n {
		v := make([]byte, 12+rng.IntN(60))
		for j := range v {
			v[j] = alphabet[rng.IntN(len(alphabet))]
		}
		values = append(values, Needle{v, fmt.Sprint("value ", i)})
	}
	return values
}

func randomData(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// textData is like code and JSON: words, numbers, indentation.
func textData(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 3))
	words := strings.Fields("func return the of and password token = { } : , \"subject\" ticket_id 2025-10-13T03:00:00Z self.client null true import os for in range status open https://example.com/api")
	var b []byte
	for len(b) < n {
		b = append(b, words[rng.IntN(len(words))]...)
		b = append(b, " \n\t "[rng.IntN(4)])
	}
	return b[:n]
}

// BenchmarkScanner measures one stream on one processor.
func BenchmarkScanner(b *testing.B) {
	const size = 16 << 20
	for _, data := range []struct {
		name  string
		bytes []byte
	}{{"random", randomData(size)}, {"text", textData(size)}, {"zeros", make([]byte, size)}} {
		for _, n := range []int{100, 1000} {
			for _, piece := range []int{4 << 10, 1 << 20} {
				b.Run(fmt.Sprintf("data=%s/values=%d/write=%dKiB", data.name, n, piece>>10), func(b *testing.B) {
					s := NewScanner(benchNeedles(n))
					stream := s.Stream(func(Match) {})
					b.SetBytes(size)
					b.ReportAllocs()
					for b.Loop() {
						for rest := data.bytes; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
							stream.Write(rest[:min(piece, len(rest))])
						}
					}
				})
			}
		}
	}
}
