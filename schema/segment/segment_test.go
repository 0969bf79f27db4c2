package segment_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// spec is testdata/segment-spec.json: the names and types of the public spec.
type spec struct {
	Calls map[string]struct {
		ReservedTraits     map[string]string `json:"reserved_traits"`
		ReservedProperties map[string]string `json:"reserved_properties"`
	} `json:"calls"`
	// SemanticEvents is by family and by the heading of a table.
	SemanticEvents map[string]map[string]map[string]string `json:"semantic_events"`
	CommonContext  map[string]string                       `json:"common_context"`
}

var readSpec = sync.OnceValues(func() (spec, error) {
	var s spec
	data, err := os.ReadFile("../../testdata/segment-spec.json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(data, &s)
})

// schema is the built package. Its definitions are evaluated once, for all
// tests.
type schema struct {
	ctx   *cue.Context
	value cue.Value
	// typed is the schema with the types of the spec in force, which the schema only names
	// for values that Segment takes with any type.
	typed cue.Value
	// events has the name of the definition of each event name.
	events map[string]string
}

var buildSchema = sync.OnceValues(func() (*schema, error) {
	insts := load.Instances([]string{"./schema/segment"}, &load.Config{Dir: "../.."})
	if err := insts[0].Err; err != nil {
		return nil, err
	}
	s := &schema{ctx: cuecontext.New(), events: map[string]string{}}
	s.value = s.ctx.BuildInstance(insts[0])
	if err := s.value.Validate(); err != nil {
		return nil, err
	}
	overlay, err := typedSources()
	if err != nil {
		return nil, err
	}
	insts = load.Instances([]string{"./schema/segment"}, &load.Config{Dir: "../..", Overlay: overlay})
	if err := insts[0].Err; err != nil {
		return nil, err
	}
	if s.typed = s.ctx.BuildInstance(insts[0]); s.typed.Err() != nil {
		return nil, s.typed.Err()
	}
	fields, err := s.value.Fields(cue.Definitions(true))
	if err != nil {
		return nil, err
	}
	for fields.Next() {
		if event, err := fields.Value().LookupPath(cue.ParsePath("event")).String(); err == nil {
			s.events[event] = fields.Selector().String()
		}
	}
	return s, nil
})

// typedForms are what the schema writes for a type of the spec that Segment does not enforce,
// and the two types of time, of which CUE takes any string.
var typedForms = []struct {
	form *regexp.Regexp
	typ  string
}{
	{regexp.MustCompile(`(?m): _ @spec\((.*)\)$`), ": $1"},
	{regexp.MustCompile(`(?m): \*(.+) \| _$`), ": $1"},
	{regexp.MustCompile(`(?m): \*\{$`), ": {"},
	{regexp.MustCompile(`(?m)^(\t*)\} \| _$`), "$1}"},
	{regexp.MustCompile(`(?m)^package segment$`), "package segment\n\nimport \"time\"\n"},
	{regexp.MustCompile(`(?m)^#Time: string$`), "#Time: time.Time | #TimePlaceholder"},
	{regexp.MustCompile(`(?m)^#Date: string$`), `#Date: time.Time | time.Format("2006-01-02") | #TimePlaceholder`},
}

// typedSources is the schema's source with the types of the spec in force.
func typedSources() (map[string]load.Source, error) {
	names, err := filepath.Glob("*.cue")
	if err != nil {
		return nil, err
	}
	overlay := map[string]load.Source{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for _, f := range typedForms {
			if strings.HasPrefix(f.typ, "package") && name != "types.cue" {
				continue
			}
			content = f.form.ReplaceAll(content, []byte(f.typ))
		}
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		overlay[path] = load.FromBytes(content)
	}
	return overlay, nil
}

func setUp(t *testing.T) (*schema, spec) {
	t.Helper()
	s, err := buildSchema()
	if err != nil {
		t.Fatal(errors.Details(err, nil))
	}
	facts, err := readSpec()
	if err != nil {
		t.Fatal(err)
	}
	return s, facts
}

// check unifies the definition with a message and says what is wrong with it.
func (s *schema) check(t *testing.T, definition string, message cue.Value) error {
	t.Helper()
	if err := message.Err(); err != nil {
		t.Fatalf("the test's own message is broken: %v", err)
	}
	return unified(t, s.value, definition, message)
}

func unified(t *testing.T, schema cue.Value, definition string, message cue.Value) error {
	t.Helper()
	def := schema.LookupPath(cue.ParsePath(definition))
	if !def.Exists() {
		t.Fatalf("there is no definition %s", definition)
	}
	return def.Unify(message).Validate(cue.Concrete(true))
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

type (
	object = map[string]any
	list   = []any
)

// sample has values that a type of the spec takes, and values that it doesn't.
type sample struct{ right, wrong list }

// samples are by the types that segment-spec.json has, but for enums.
var samples = map[string]sample{
	"String": {
		right: list{"text", "", "{{name}}", "for {{name}}, from {{ other }}"},
		wrong: list{7, true, object{}, list{"text"}, nil},
	},
	"Number": {
		right: list{7, 1.5, -1, "{{duration | number}}", "{{duration|number}}", "{{ \ta.b-c_1 |\tnumber }}"},
		wrong: list{"7", "", "{{duration}}", "{{flag | boolean}}", "{{duration | number}} ", "about {{duration | number}}", "{{1 | number}}", true, nil},
	},
	"Integer": {
		right: list{7, 0, "{{duration | number}}"},
		wrong: list{1.5, "7", "{{duration}}", "{{flag | boolean}}", true, nil},
	},
	"Float": {
		right: list{29.97, 30, "{{rate | number}}"},
		wrong: list{"29.97", "{{rate}}", true},
	},
	"Boolean": {
		right: list{true, false, "{{flag | boolean}}", "{{flag|boolean}}"},
		wrong: list{"true", "", "{{flag}}", "{{duration | number}}", " {{flag | boolean}}", 1, nil},
	},
	"Date": {
		right: list{"2026-01-31", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.123+01:00", "{{day}}", "{{ day }}"},
		wrong: list{"yesterday", "", "2026-02-30", "31/01/2026", "2026-01-31 09:30", 1769851800, "{{day | number}}", "{{day}}T00:00:00Z", nil},
	},
	"Object": {
		right: list{object{}},
		wrong: list{"text", 7, true, list{}, nil},
	},
	"Array": {
		right: list{list{}, list{object{}}, list{object{"custom": 1}}},
		wrong: list{"text", 7, object{}, list{"text"}, nil},
	},
	"Array[string]": {
		right: list{list{}, list{"text", "{{name}}"}},
		wrong: list{"text", list{7}, object{}, nil},
	},
	"String | Object": {
		right: list{"text", "{{name}}", object{}, object{"custom": list{1}}},
		wrong: list{7, list{}, true},
	},
	"String, Array[string]": {
		right: list{"text", "{{name}}", list{}, list{"text", "{{name}}"}, nil},
		wrong: list{7, list{7}, object{}},
	},
	"Object[ContentEventObject]": {
		right: list{object{}, object{"title": "text", "position": 7}},
		wrong: list{"text", list{}, object{"title": 7}, object{"position": "7"}},
	},
}

// exceptions are entries of the spec that the schema takes in another sense.
var exceptions = map[string]sample{
	// The spec's table says string; its examples have a number.
	"employees": {
		right: list{"11-50", 42, "{{employees}}", "{{employees | number}}"},
		wrong: list{true, object{}, list{}, nil},
	},
	// Two of the email events' tables say object; an IP address is text.
	"context.ip": samples["String"],
	// Several ads may be known when playback starts.
	"ad_type": {
		right: list{"pre-roll", "mid-roll", "post-roll", "{{adType}}", list{}, list{"pre-roll", "{{adType}}"}},
		wrong: list{"preroll", "", "{{adType | number}}", 7, list{"preroll"}, nil},
	},
}

func sampleOf(t *testing.T, name, typ string) sample {
	t.Helper()
	if s, ok := exceptions[name]; ok {
		return s
	}
	if literals, ok := strings.CutPrefix(typ, "Enum {"); ok {
		s := sample{right: list{"{{name}}", "{{ name }}"}, wrong: list{"other", "", "{{name | number}}", 7, nil}}
		for literal := range strings.SplitSeq(strings.TrimSuffix(literals, "}"), ", ") {
			s.right = append(s.right, literal)
		}
		return s
	}
	switch {
	case strings.HasPrefix(typ, "Array<"):
		typ = "Array"
	case typ == "ISO 8601 Date String":
		typ = "Date"
	}
	s, ok := samples[typ]
	if !ok {
		t.Fatalf("%s: the spec has a type that this test has no samples of: %s", name, typ)
	}
	return s
}

// place puts a value into a message at a path as the spec writes it:
// products.$.sku, context.traits.email, campaign[source]. What is not below
// context goes below root.
func place(message object, root, path string, value any) object {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	if !strings.HasPrefix(path, "context.") {
		path = root + "." + path
	}
	steps := strings.Split(path, ".")
	for _, step := range slices.Backward(steps[1:]) {
		if step == "$" {
			value = list{value}
		} else {
			value = object{step: value}
		}
	}
	message = maps.Clone(message)
	message[steps[0]] = value
	return message
}

// checkTable checks each entry of a table of the spec.
func checkTable(t *testing.T, s *schema, definition string, message object, root string, table map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		checkField(t, s, definition, message, root, name, sampleOf(t, name, table[name]))
	}
}

// checkField checks that right values of a field pass and wrong ones don't. The
// latter also shows that the schema knows the field, for traits and properties
// take anything under a name of one's own.
func checkField(t *testing.T, s *schema, definition string, message object, root, name string, values sample) {
	t.Helper()
	for _, value := range values.right {
		if err := s.check(t, definition, s.ctx.Encode(place(message, root, name, value))); err != nil {
			t.Errorf("%s: %s must take %s, but: %v", definition, name, show(value), err)
		}
	}
	for _, value := range values.wrong {
		if err := unified(t, s.typed, definition, s.ctx.Encode(place(message, root, name, value))); err == nil {
			t.Errorf("%s: %s must not be of the type of %s", definition, name, show(value))
		}
	}
}

var calls = map[string]struct {
	definition string
	message    object
	root       string
}{
	"identify": {"#Identify", object{"userId": "u1"}, "traits"},
	"group":    {"#Group", object{"userId": "u1", "groupId": "g1"}, "traits"},
	"track":    {"#Track", object{"userId": "u1", "event": "Report Exported"}, "properties"},
	"page":     {"#Page", object{"userId": "u1", "name": "Home"}, "properties"},
	"screen":   {"#Screen", object{"userId": "u1", "name": "Settings"}, "properties"},
}

func TestReservedTraitsAndProperties(t *testing.T) {
	s, facts := setUp(t)
	if len(facts.Calls) != len(calls) {
		t.Errorf("the spec has %d calls, this test %d", len(facts.Calls), len(calls))
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			table := facts.Calls[name].ReservedTraits
			if call.root == "properties" {
				table = facts.Calls[name].ReservedProperties
			}
			if len(table) == 0 {
				t.Fatalf("the spec has no table of %s for %s", call.root, name)
			}
			checkTable(t, s, call.definition, call.message, call.root, table)
			if call.root == "traits" {
				twins := map[string]string{}
				for trait, typ := range table {
					if snake := snakeCase(trait); snake != trait {
						twins[snake] = typ
					}
				}
				if len(twins) == 0 {
					t.Error("no trait has a twin in snake case")
				}
				checkTable(t, s, call.definition, call.message, call.root, twins)
			}
		})
	}
}

func snakeCase(camel string) string {
	var b strings.Builder
	for _, r := range camel {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestNestedTraits(t *testing.T) {
	s, _ := setUp(t)
	textOrNumber := sample{
		right: list{"11-50", 42, "{{count}}", "{{count | number}}"},
		wrong: list{true, object{}, nil},
	}
	tests := map[string]sample{
		"address.city":           {right: list{"text", 7, nil}}, // the spec has no types
		"address.country":        {right: list{"text", 7, nil}},
		"address.postalCode":     {right: list{"text", 7, nil}},
		"address.postal_code":    {right: list{"text", 7, nil}},
		"address.state":          {right: list{"text", 7, nil}},
		"address.street":         {right: list{"text", 7, nil}},
		"company.id":             textOrNumber,
		"company.name":           samples["String"],
		"company.industry":       samples["String"],
		"company.employeeCount":  textOrNumber,
		"company.employee_count": textOrNumber,
		"company.plan":           samples["String"],
	}
	for path, values := range tests {
		identify := calls["identify"]
		checkField(t, s, identify.definition, identify.message, identify.root, path, values)
		if strings.HasPrefix(path, "address.") {
			group := calls["group"]
			checkField(t, s, group.definition, group.message, group.root, path, values)
		}
	}
}

func TestCommonContext(t *testing.T) {
	s, facts := setUp(t)
	if len(facts.CommonContext) == 0 {
		t.Fatal("the spec has no common context")
	}
	for _, call := range calls {
		table := map[string]string{}
		for name, typ := range facts.CommonContext {
			table["context."+name] = typ
		}
		checkTable(t, s, call.definition, call.message, call.root, table)
	}
}

// videoEvents are the events of the video spec, by the object that they carry.
var videoEvents = map[string][]string{
	"Playback / Playback event object": {
		"Video Playback Started", "Video Playback Paused", "Video Playback Interrupted",
		"Video Playback Buffer Started", "Video Playback Buffer Completed",
		"Video Playback Seek Started", "Video Playback Seek Completed",
		"Video Playback Resumed", "Video Playback Completed", "Video Playback Exited",
		"Video Quality Updated",
	},
	"Content / Content event object": {"Video Content Started", "Video Content Playing", "Video Content Completed"},
	"Ads / Ad event object":          {"Video Ad Started", "Video Ad Playing", "Video Ad Completed"},
}

// unlisted are events without a table in the spec.
var unlisted = []string{"Application Backgrounded", "Application Crashed", "Application Uninstalled"}

// eventsOf gives the names of the events that a table of the spec is about.
func eventsOf(t *testing.T, heading string) []string {
	t.Helper()
	if events, ok := videoEvents[heading]; ok {
		return events
	}
	parts := strings.Split(heading, " / ")
	if len(parts) < 2 {
		t.Fatalf("the heading %q names no event", heading)
	}
	return parts[1:2]
}

func TestSemanticEvents(t *testing.T) {
	s, facts := setUp(t)
	known := map[string]bool{}
	for _, event := range unlisted {
		known[event] = true
	}
	for family, tables := range facts.SemanticEvents {
		for heading, table := range tables {
			for _, event := range eventsOf(t, heading) {
				known[event] = true
				t.Run(family+"/"+event, func(t *testing.T) {
					definition, ok := s.events[event]
					if !ok {
						t.Fatalf("no definition has the event %q", event)
					}
					checkTable(t, s, definition, object{"userId": "u1"}, "properties", table)
				})
			}
		}
	}
	for event := range s.events {
		if !known[event] {
			t.Errorf("%s has the event %q, which this test doesn't know from the spec", s.events[event], event)
		}
	}
	for event := range known {
		if s.events[event] == "" {
			t.Errorf("no definition has the event %q", event)
		}
	}
}

func TestSemanticEventsAreTracks(t *testing.T) {
	s, _ := setUp(t)
	for event, definition := range s.events {
		t.Run(event, func(t *testing.T) {
			var name strings.Builder
			for word := range strings.FieldsSeq(event) {
				name.WriteString(strings.ToUpper(word[:1]) + word[1:])
			}
			if want := "#" + name.String(); definition != want {
				t.Errorf("the definition of %q is %s, want %s", event, definition, want)
			}
			tests := []struct {
				what    string
				message object
				ok      bool
			}{
				{"a user alone", object{"userId": "u1"}, true},
				{"an anonymous user alone", object{"anonymousId": "a1"}, true},
				{"the event by its name", object{"userId": "u1", "event": event}, true},
				{"another event", object{"userId": "u1", "event": event + "!"}, false},
				{"no user", object{}, false},
				{"an unknown field", object{"userId": "u1", "custom": 1}, false},
				{"a custom field in context", object{"userId": "u1", "context": object{"custom": 1}}, true},
				{"any context", object{"userId": "u1", "context": object{"ip": "203.0.113.7", "groupId": "g1"}}, true},
				{"a custom property", object{"userId": "u1", "properties": object{"custom": object{"a": list{1}}}}, true},
				{"a wrong reserved property", object{"userId": "u1", "properties": object{"revenue": "much"}}, true},
				{"another type", object{"userId": "u1", "type": "identify"}, false},
			}
			for _, test := range tests {
				err := s.check(t, definition, s.ctx.Encode(test.message))
				if test.ok && err != nil {
					t.Errorf("%s: must pass, but: %v", test.what, err)
				}
				if !test.ok && err == nil {
					t.Errorf("%s: must not pass", test.what)
				}
			}
		})
	}
}

func TestMessages(t *testing.T) {
	s, _ := setUp(t)
	tests := []struct{ name, definition, message string }{
		{"identify from a placeholder", "#Identify", `{
			userId: "{{userId}}"
			traits: {email: "{{userEmail}}", name: "{{userName}}"}
			timestamp: "{{clientTimestampEndTime}}"
		}`},
		{"group from a placeholder", "#Group", `{
			userId:  "{{userId}}"
			groupId: "{{accountId}}"
			traits: name: "{{accountName}}"
			timestamp: "{{ clientTimestampEndTime }}"
		}`},
		{"track from a placeholder", "#Track", `{
			userId: "{{userId}}"
			event:  "{{usagePatternName}}"
			properties: duration: "{{duration}}"
			timestamp: "{{clientTimestampEndTime}}"
		}`},
		{"page from a placeholder", "#Page", `{
			userId:   "{{userId}}"
			name:     "Invoice"
			category: "Billing"
			properties: {url: "https://example.com/invoices", title: "Invoice", keywords: ["billing"], seats: 3}
		}`},
		{"screen from a placeholder", "#Screen", `{
			userId: "{{userId}}"
			name:   "Settings"
			properties: variation: "blue"
		}`},
		{"alias from a placeholder", "#Alias", `{
			userId:     "{{userId}}"
			previousId: "{{userEmail}}"
		}`},
		{"identify in full", "#Identify", `{
			type:        "identify"
			anonymousId: "visit-9c2e"
			userId:      "u-1042"
			channel:     "server"
			messageId:   "signup-u-1042"
			timestamp:   "2026-01-31T09:30:00.250+01:00"
			sentAt:      "2026-01-31T08:30:01Z"
			integrations: {All: false, Mixpanel: true, Salesforce: {object: "Lead"}, "Google Analytics 4": "{{ga | boolean}}"}
			traits: {
				firstName: "Ana", last_name: "Reis", age: 34, birthday: "1991-06-02"
				createdAt: "2026-01-31T09:29:58Z", created_at: "2026-01-31"
				address: {street: "Rua Nova 1", postal_code: "1100-001", city: "Lisbon", floor: 2}
				company: {id: 77, name: "Marmelo", employee_count: "11-50", plan: "team", region: "south"}
				logins: 3, tags: ["beta", "pt"]
			}
			context: {
				active: true, ip: "203.0.113.7", locale: "pt-PT", timezone: "Europe/Lisbon"
				groupId: "g-77", channel: "browser", userAgent: "Mozilla/5.0", user_agent: "Mozilla/5.0"
				instanceId: "8f0c"
				amp: id: "amp-1"
				app: {name: "Marmelo", version: "2.14.0", build: "2140", namespace: "pt.marmelo"}
				campaign: {name: "spring", source: "newsletter", medium: "email", term: "jam", content: "top", audience: "trial"}
				device: {id: "d1", advertisingId: "ad1", adTrackingEnabled: false, trackingStatus: "denied", manufacturer: "Apple", model: "iPhone17,1", name: "Ana's phone", type: "ios", version: "1", token: "t1"}
				externalIds: [{id: "ana@example.com", type: "email", collection: "users", encoding: "none"}]
				consent: {categoryPreferences: {advertising: false, analytics: true}, reason: "banner"}
				library: {name: "segue", version: "1.0.0"}
				location: {city: "Lisbon", country: "Portugal", latitude: 38.7, longitude: "-9.1", region: "Lisbon", speed: 0}
				network: {bluetooth: false, carrier: "MEO", cellular: true, wifi: false}
				os: {name: "iOS", version: "26.1"}
				page: {path: "/start", referrer: "https://example.com/", search: "?a=b", title: "Start", url: "https://example.com/start?a=b"}
				protocols: {sourceId: "s1", violations: []}
				referrer: {id: "r1", btid: "b1", urid: "m1", type: "search", name: "Example", url: "https://example.com", link: "https://example.com/x"}
				screen: {width: 1170, height: 2532, density: 3}
				traits: {email: "ana@example.com", plan: "team"}
				userAgentData: {
					brands: [{brand: "Chromium", version: "143"}], mobile: true, platform: "Android"
					architecture: "arm", bitness: "64", model: "Pixel 9", platformVersion: "16.0.0", uaFullVersion: "143.0.1"
					fullVersionList: [{brand: "Chromium", version: "143.0.1"}], wow64: false, formFactors: ["Mobile"]
				}
			}
		}`},
		{"fields that Segment sets", "#Track", `{
			userId: "u1", event: "Report Exported"
			receivedAt: "2026-01-31T08:30:02Z", originalTimestamp: "2026-01-31T08:30:00Z"
			version: 2, projectId: "p1"
			"_metadata": {bundled: ["Segment.io"], unbundled: [], bundledIds: [], nodeVersion: "24.1.0"}
		}`},
		{"an order", "#OrderCompleted", `{
			userId: "{{userId}}"
			properties: {
				checkout_id: "c1", order_id: "o-9", affiliation: "web", subtotal: 30, total: 27.5, revenue: 25
				shipping: 3, tax: 2, discount: 2.5, coupon: "JAM", currency: "EUR", gift: true
				products: [{product_id: "p1", sku: "J-1", name: "Jam", price: 5, quantity: 2, position: 1, url: "https://example.com/jam", organic: true}]
			}
		}`},
		{"a sign-up on an account", "#SignedUp", `{
			userId: "u1"
			properties: {type: "invited", email: "ana@example.com"}
			context: {groupId: "g1", ip: "203.0.113.7"}
		}`},
		{"an email that was opened", "#EmailOpened", `{
			anonymousId: "a1"
			properties: {email_id: "e1", campaign_name: "spring"}
			context: {ip: "203.0.113.7", user_agent: "Mozilla/5.0", traits: {email: "ana@example.com", vip: true}}
		}`},
		{"an ad", "#VideoAdStarted", `{
			userId: "u1"
			properties: {type: "mid-roll", load_type: "{{loadType}}", content: {title: "Jam", keywords: ["fruit"], airdate: "2026-01-31"}, pod_position: 1}
		}`},
		{"an install", "#InstallAttributed", `{
			userId: "u1"
			properties: {provider: "Example", campaign: {source: "web", ad_creative: "red", ad_group: "south", cost: 1}}
		}`},
		{"a picture's quality", "#VideoQualityUpdated", `{
			userId: "u1"
			properties: {quality: "hd1080", startupTime: 800, droppedFrames: 0}
		}`},
		{"a long message id", "#Identify", fmt.Sprintf(`{userId: "u1", messageId: %q}`, strings.Repeat("é", 99))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := s.check(t, test.definition, s.ctx.CompileString(test.message)); err != nil {
				t.Errorf("%s must take it, but:\n%s", test.definition, errors.Details(err, nil))
			}
		})
	}
}

// What Segment takes and a destination may lose is for segue vet to warn of, not for CUE.
func TestTakenAnyway(t *testing.T) {
	s, _ := setUp(t)
	for _, test := range []struct{ name, definition, message string }{
		{"empty user", "#Track", `{userId: "", event: "e"}`},
		{"unknown context field", "#Identify", `{userId: "u1", context: IP: "203.0.113.7"}`},
		{"unknown app field", "#Identify", `{userId: "u1", context: app: id: "a"}`},
		{"unknown device field", "#Identify", `{userId: "u1", context: device: os: "ios"}`},
		{"unknown external id field", "#Identify", `{userId: "u1", context: externalIds: [{value: "x"}]}`},
		{"unknown brand field", "#Identify", `{userId: "u1", context: userAgentData: brands: [{name: "x"}]}`},
		{"wrong consent", "#Identify", `{userId: "u1", context: consent: categoryPreferences: ads: "no"}`},
		{"unknown context field in an event", "#EmailOpened", `{userId: "u1", context: {user_agent: "x", useragent: "x"}}`},
		{"time without a zone", "#Identify", `{userId: "u1", timestamp: "2026-01-31T09:30:00"}`},
		{"day as time", "#Identify", `{userId: "u1", timestamp: "2026-01-31"}`},
		{"cast placeholder as time", "#Identify", `{userId: "u1", timestamp: "{{duration | number}}"}`},
		{"blank after a placeholder as time", "#Identify", `{userId: "u1", timestamp: "{{time}} "}`},
		{"text as integration", "#Identify", `{userId: "u1", integrations: Mixpanel: "yes"}`},
		{"object as default of integrations", "#Identify", `{userId: "u1", integrations: All: {}}`},
		{"wrong metadata", "#Identify", `{userId: "u1", "_metadata": bundled: "Segment.io"}`},
		{"text as price of a product", "#CartViewed", `{userId: "u1", properties: products: [{price: 1}, {price: "1"}]}`},
		{"number as campaign source", "#InstallAttributed", `{userId: "u1", properties: campaign: source: 1}`},
		{"null for a trait", "#Identify", `{userId: "u1", traits: {email: null, company: null}}`},
		{"null beside an id", "#Track", `{userId: null, anonymousId: "a1", event: "e"}`},
		{"text as company", "#Identify", `{userId: "u1", traits: company: "Example"}`},
		{"field of one's own in context", "#Track", `{userId: "u1", event: "e", context: our: 1}`},
		{"number as rating", "#ProductReviewed", `{userId: "u1", properties: rating: 5}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := s.check(t, test.definition, s.ctx.CompileString(test.message)); err != nil {
				t.Errorf("%s must take %s: %v", test.definition, test.message, err)
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	s, _ := setUp(t)
	tests := []struct {
		name, definition, message string
		path                      string // where CUE must find the error; "" is the message itself
	}{
		{"no user in identify", "#Identify", `{traits: name: "Ana"}`, ""},
		{"no user in group", "#Group", `{groupId: "g1"}`, ""},
		{"no user in track", "#Track", `{event: "e"}`, ""},
		{"number as user", "#Track", `{userId: 7, event: "e"}`, "userId"},
		{"no user in page", "#Page", `{name: "Home"}`, ""},
		{"no user in screen", "#Screen", `{name: "Home"}`, ""},
		{"no user in alias", "#Alias", `{previousId: "a1"}`, ""},
		{"no former id", "#Alias", `{userId: "u1"}`, "previousId"},
		{"empty former id", "#Alias", `{userId: "u1", previousId: ""}`, "previousId"},
		{"properties in alias", "#Alias", `{userId: "u1", previousId: "a1", properties: {}}`, "properties"},
		{"event in page", "#Page", `{userId: "u1", event: "e"}`, "event"},
		{"no group", "#Group", `{userId: "u1"}`, "groupId"},
		{"empty group", "#Group", `{userId: "u1", groupId: ""}`, "groupId"},
		{"no event", "#Track", `{userId: "u1"}`, "event"},
		{"empty event", "#Track", `{userId: "u1", event: ""}`, "event"},
		{"unknown field in identify", "#Identify", `{userId: "u1", userID: "u1"}`, "userID"},
		{"unknown field in group", "#Group", `{userId: "u1", groupId: "g1", groupID: "g1"}`, "groupID"},
		{"unknown field in track", "#Track", `{userId: "u1", event: "e", property: {}}`, "property"},
		{"properties in identify", "#Identify", `{userId: "u1", properties: {}}`, "properties"},
		{"traits in track", "#Track", `{userId: "u1", event: "e", traits: {}}`, "traits"},
		{"event in group", "#Group", `{userId: "u1", groupId: "g1", event: "e"}`, "event"},
		{"wrong type of call", "#Group", `{userId: "u1", groupId: "g1", type: "track"}`, "type"},
		{"number as time", "#Identify", `{userId: "u1", timestamp: 1769851800}`, "timestamp"},
		{"message id of 100", "#Identify", fmt.Sprintf(`{userId: "u1", messageId: %q}`, strings.Repeat("m", 100)), "messageId"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := s.check(t, test.definition, s.ctx.CompileString(test.message))
			if err == nil {
				t.Fatalf("%s must not take %s", test.definition, test.message)
			}
			var paths []string
			for _, e := range errors.Errors(err) {
				// The path of a value below a definition starts with it.
				path := strings.TrimPrefix(strings.Join(e.Path(), "."), test.definition)
				paths = append(paths, strings.TrimPrefix(path, "."))
			}
			if !slices.Contains(paths, test.path) {
				t.Errorf("the errors are at %q, want one at %q:\n%s", paths, test.path, errors.Details(err, nil))
			}
		})
	}
}

func TestFieldsThatSegmentSets(t *testing.T) {
	s, _ := setUp(t)
	common := s.value.LookupPath(cue.ParsePath("#Common"))
	fields, err := common.Fields(cue.Optional(true))
	if err != nil {
		t.Fatal(err)
	}
	var sets []string
	for fields.Next() {
		attribute := fields.Value().Attribute("segment")
		if attribute.Err() == nil && attribute.Contents() == "sets" {
			sets = append(sets, fields.Selector().Unquoted())
		}
	}
	slices.Sort(sets)
	want := []string{"_metadata", "originalTimestamp", "projectId", "receivedAt", "version"}
	if !slices.Equal(sets, want) {
		t.Errorf("fields with @segment(sets): %q, want %q", sets, want)
	}
}

// sourceFiles parses the package's files with their comments.
func sourceFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.cue")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal("there are no CUE files here")
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		f, err := parser.ParseFile(name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(errors.Details(err, nil))
		}
		files[name] = f
	}
	return files
}

func TestSourceIsFormatted(t *testing.T) {
	for name := range sourceFiles(t) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.Source(source)
		if err != nil {
			t.Fatal(err)
		}
		if string(formatted) != string(source) {
			t.Errorf("%s is not as `cue fmt` has it", name)
		}
	}
}

// TestSourceSubset holds the files to the part of CUE that the compiler reads:
// it takes the shapes of fields from the syntax. It also wants a comment on all
// that an editor shows.
func TestSourceSubset(t *testing.T) {
	files := sourceFiles(t)
	r := &reader{t: t, definitions: map[string]bool{}}
	for _, f := range files {
		for _, decl := range f.Decls {
			if field, ok := decl.(*ast.Field); ok {
				if name, _, err := ast.LabelName(field.Label); err == nil {
					if r.definitions[name] {
						r.errorf(field, "%s is there twice", name)
					}
					r.definitions[name] = true
				}
			}
		}
	}
	for _, f := range files {
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.Package, *ast.CommentGroup:
			case *ast.ImportDecl:
				for _, spec := range decl.Specs {
					if path := spec.Path.Value; path != `"time"` && path != `"strings"` {
						r.errorf(spec, "imports %s", path)
					}
				}
			case *ast.Field:
				ident, ok := decl.Label.(*ast.Ident)
				if !ok || !strings.HasPrefix(ident.Name, "#") {
					r.errorf(decl, "a top-level field that is no definition")
					continue
				}
				if decl.Constraint != token.ILLEGAL || len(decl.Attrs) > 0 || decl.Alias != nil {
					r.errorf(decl, "%s is more than a plain definition", ident.Name)
				}
				r.documented(decl, ident.Name)
				r.expr(decl.Value, ident.Name)
			default:
				r.errorf(decl, "%T at the top level", decl)
			}
		}
	}
	if r.fields < 100 {
		t.Errorf("walked over %d fields only", r.fields)
	}
}

// reader walks over the syntax and reports what is outside of the subset.
type reader struct {
	t           *testing.T
	definitions map[string]bool
	fields      int
}

func (r *reader) errorf(n ast.Node, format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%v: %s", n.Pos(), fmt.Sprintf(format, args...))
}

// documented wants a comment directly above a field.
func (r *reader) documented(field *ast.Field, name string) {
	for _, group := range ast.Comments(field) {
		if group.Doc && strings.TrimSpace(group.Text()) != "" {
			return
		}
	}
	r.errorf(field, "%s has no comment directly above", name)
}

// functions are those that a schema may call.
var functions = []string{"strings.MaxRunes", "time.Format", "matchN"}

func (r *reader) expr(e ast.Expr, in string) {
	switch e := e.(type) {
	case *ast.Ident:
		switch {
		case slices.Contains([]string{"string", "number", "int", "bool", "null", "_"}, e.Name):
		case strings.HasPrefix(e.Name, "#") && r.definitions[e.Name]:
		default:
			r.errorf(e, "%s: refers to %s", in, e.Name)
		}
	case *ast.BasicLit:
	case *ast.BinaryExpr:
		if e.Op != token.AND && e.Op != token.OR {
			r.errorf(e, "%s: operator %v", in, e.Op)
		}
		r.expr(e.X, in)
		if call, ok := e.Y.(*ast.CallExpr); ok && name(call.Fun) == "matchN" {
			r.matchN(e, call, in)
			return
		}
		r.expr(e.Y, in)
	case *ast.UnaryExpr:
		if e.Op == token.MUL { // *T | _
			r.expr(e.X, in)
			return
		}
		if _, ok := e.X.(*ast.BasicLit); !ok || e.Op != token.MAT && e.Op != token.NEQ {
			r.errorf(e, "%s: bound other than =~ and != of a literal", in)
		}
	case *ast.SelectorExpr:
		if name(e) != "time.Time" {
			r.errorf(e, "%s: refers to %s", in, name(e))
		}
	case *ast.CallExpr:
		if f := name(e.Fun); !slices.Contains(functions, f) || f == "matchN" {
			r.errorf(e, "%s: calls %s", in, f)
		}
		for _, arg := range e.Args {
			if _, ok := arg.(*ast.BasicLit); !ok {
				r.errorf(arg, "%s: an argument that is no literal", in)
			}
		}
	case *ast.ListLit:
		if len(e.Elts) != 1 {
			r.errorf(e, "%s: a list that is not of the form [...X]", in)
			return
		}
		if ellipsis, ok := e.Elts[0].(*ast.Ellipsis); !ok || ellipsis.Type == nil {
			r.errorf(e, "%s: a list that is not of the form [...X]", in)
		} else {
			r.expr(ellipsis.Type, in)
		}
	case *ast.StructLit:
		r.structLit(e, in)
	default:
		r.errorf(e, "%s: %T", in, e)
	}
}

func (r *reader) structLit(lit *ast.StructLit, in string) {
	lines := map[int]bool{}
	for _, elt := range lit.Elts {
		switch elt := elt.(type) {
		case *ast.Field:
			r.fields++
			label := ""
			switch l := elt.Label.(type) {
			case *ast.Ident:
				label = l.Name
				if strings.HasPrefix(label, "_") || strings.HasPrefix(label, "#") {
					r.errorf(elt, "%s: hidden field or definition %s", in, label)
				}
			case *ast.BasicLit:
				label = l.Value
			case *ast.ListLit:
				label = "[string]"
				if len(l.Elts) != 1 || name(l.Elts[0]) != "string" {
					r.errorf(elt, "%s: a pattern other than [string]", in)
				}
			default:
				r.errorf(elt, "%s: a label that is a %T", in, l)
			}
			if line := elt.Pos().Line(); lines[line] {
				r.errorf(elt, "%s: two fields in a line", in)
			} else {
				lines[line] = true
			}
			if elt.Alias != nil {
				r.errorf(elt, "%s: an alias", in)
			}
			r.documented(elt, in+"."+label)
			r.expr(elt.Value, in+"."+label)
		case *ast.Ellipsis:
			if elt.Type != nil {
				r.errorf(elt, "%s: an ellipsis with a type", in)
			}
		case *ast.EmbedDecl:
			if name(elt.Expr) != "#Common" || !slices.Contains([]string{"#IdentifyFields", "#GroupFields", "#TrackFields",
				"#PageFields", "#ScreenFields", "#AliasFields"}, in) {
				r.errorf(elt, "%s: embeds %s", in, name(elt.Expr))
			}
		case *ast.CommentGroup:
		default:
			r.errorf(elt, "%s: %T", in, elt)
		}
	}
}

// matchN wants the one use that the schema makes of it, beside a reference to the
// struct: embedded in a struct literal, or beside one, it opens the struct.
func (r *reader) matchN(e *ast.BinaryExpr, call *ast.CallExpr, in string) {
	got, err := format.Node(call)
	if err != nil {
		r.errorf(call, "%s: %v", in, err)
	}
	const want = `matchN(>=1, [{userId!: _, ...}, {anonymousId!: _, ...}])`
	if string(got) != want {
		r.errorf(call, "%s: %s, want %s", in, got, want)
	}
	if _, ok := e.X.(*ast.Ident); !ok || e.Op != token.AND {
		r.errorf(call, "%s: matchN is no conjunct of a reference", in)
	}
}

// name gives a name or a pair of names with a dot between, and "" for anything
// else.
func name(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Ident:
		return n.Name
	case *ast.SelectorExpr:
		if sel, ok := n.Sel.(*ast.Ident); ok {
			return name(n.X) + "." + sel.Name
		}
	}
	return ""
}
