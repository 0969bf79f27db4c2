package naming

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/schema"
)

// Event checks the name of an event against Segment's advice: a noun and a verb in the past, in Title Case. problem
// says what is wrong, "" if nothing is certain. better is the right name, "" if that is not certain.
func Event(name string) (problem, better string) {
	if !strings.ContainsFunc(name, unicode.IsLetter) && strings.TrimSpace(name) != "" {
		return "has no letter", ""
	}
	first := []rune(name + " ")[0]
	if first > unicode.MaxASCII || !unicode.IsLetter(first) {
		return "", "" // such as $pageview, which has a meaning of its own
	}
	if own := semanticEvents()[finding.PlainName(name)]; own != "" {
		if own == name {
			return "", ""
		}
		return "is not written as Segment writes it", own
	}
	if own := formerName(name); own != "" {
		return "is the former name of a semantic event", own
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) }) {
		return "", "" // not English
	}
	words := finding.Words(name)
	lower := make([]string, len(words))
	for i, w := range words {
		lower[i] = strings.ToLower(w)
	}
	past := slices.ContainsFunc(lower, isPast)
	title := inTitleCase(name, words, past || len(words) > 1 && pastOf()[lower[0]] != "")
	verb := ""
	if !past && len(words) > 1 {
		verb, better = toPast(words, lower)
	}
	switch {
	case title && verb == "":
		return "", ""
	case verb == "" && past:
		better = titleCase(words)
	}
	switch {
	case title:
		return fmt.Sprintf("says what to do, %q, and not what has happened", verb), better
	case verb != "":
		return fmt.Sprintf("is not in Title Case, and says what to do, %q, and not what has happened", verb), better
	default:
		return "is not in Title Case, as Segment advises", better
	}
}

// formerName returns the semantic event that had a name before Segment put the verb behind
// the noun: "Completed Order" is "Order Completed" today; "" if there is none.
func formerName(name string) string {
	words := finding.Words(name)
	if len(words) < 2 || !isPast(strings.ToLower(words[0])) {
		return ""
	}
	if strings.EqualFold(name, "Viewed Product Category") {
		return "Product List Viewed"
	}
	return semanticEvents()[finding.PlainName(strings.Join(append(slices.Clone(words[1:]), words[0]), ""))]
}

// semanticEvents are the names of Segment's semantic events by their plain form.
var semanticEvents = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for name := range schema.Events() {
		out[finding.PlainName(name)] = name
	}
	return out
})

// inTitleCase reports whether a name can pass as Title Case. verbal says that it
// reads as a name of an event, so that words that are run together are that, and
// not the name of a product.
func inTitleCase(name string, words []string, verbal bool) bool {
	if !strings.Contains(name, " ") {
		switch {
		case unicode.IsLower(rune(name[0])):
			return false
		case len(words) < 2:
			return true
		case strings.Contains(name, "_"):
			return false
		case strings.ContainsAny(name, "-./:&+'"):
			return true // Sign-Up, Opt-Out
		}
		return !verbal // OrderCompleted, but GitHub
	}
	if verbal && name == strings.ToUpper(name) {
		return len(words) < 2 || !isPast(strings.ToLower(words[len(words)-1]))
	}
	fields := strings.Fields(name)
	for i, w := range fields {
		w = strings.Trim(w, `,;:!?"'`)
		switch {
		case w == "" || strings.ContainsAny(w, "0123456789./:@()[]#$%&+"):
		case strings.Contains(w, "_") && w == strings.ToLower(w):
			return false
		case i > 0 && i < len(fields)-1 && slices.Contains(smallWords, w):
		case w == strings.ToLower(w) && unicode.IsLetter(rune(w[0])):
			return false
		}
	}
	return true
}

// smallWords may be in lower case in the middle of a title.
var smallWords = []string{"a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "into", "nor", "of", "on",
	"onto", "or", "over", "per", "than", "the", "to", "under", "upon", "via", "vs", "with", "within", "without"}

// particles belong to the verb before them: Signed Up.
var particles = []string{"up", "in", "out", "off", "on", "down", "over"}

// acronyms are words that stay in capitals.
var acronyms = []string{"ab", "ai", "api", "crm", "csv", "faq", "gdpr", "html", "http", "id", "ip", "json", "kyc",
	"mfa", "nps", "pdf", "qr", "roi", "saml", "sdk", "sku", "sla", "sms", "sql", "ssl", "sso", "ui", "uri", "url",
	"us", "vat", "vip", "xml"}

// titleCase joins words in Title Case.
func titleCase(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		lower := strings.ToLower(w)
		switch {
		case slices.Contains(acronyms, lower):
			w = strings.ToUpper(w)
		case i > 0 && i < len(words)-1 && slices.Contains(smallWords, lower):
			w = lower
		case w == lower || w == strings.ToUpper(w):
			first, size := utf8.DecodeRuneInString(lower)
			w = string(unicode.ToUpper(first)) + lower[size:]
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}

// toPast finds a verb that is not in the past: the first word, or a last one that
// can't be a noun. It returns the name with the verb in the past, where that is
// certain. No word of the name is in the past.
func toPast(words, lower []string) (verb, better string) {
	last := len(words) - 1
	past, isVerb := pastOf()[lower[0]]
	switch {
	case isVerb && (slices.Contains(outcomes, lower[last]) || strings.HasSuffix(lower[last], "ing")):
		return "", "" // Import Error
	case isVerb && !slices.ContainsFunc(lower[1:], func(w string) bool { return !slices.Contains(particles, w) }):
		return words[0], titleCase(append([]string{past}, words[1:]...))
	case isVerb && last == 1:
		return words[0], titleCase([]string{words[1], past})
	case isVerb && last == 2 && slices.Contains([]string{"a", "an", "the"}, lower[1]):
		return words[0], titleCase([]string{words[2], past})
	case isVerb:
		return words[0], ""
	case slices.Contains(onlyVerbs, lower[last]):
		return words[last], titleCase(append(slices.Clone(words[:last]), pastOf()[lower[last]]))
	}
	return "", ""
}

// outcomes are nouns that make one of the word before them, which may look like
// a verb: Import Error, Search Result.
var outcomes = []string{"alert", "attempt", "cancellation", "completion", "count", "end", "ended", "error", "errors",
	"event", "failure", "failures", "limit", "page", "progress", "rate", "result", "results", "start", "status",
	"step", "success", "summary", "timeout", "warning"}

// onlyVerbs are verbs that are no noun, so that they are wrong at the end of a
// name too: Form Submit.
var onlyVerbs = []string{"activate", "add", "approve", "assign", "cancel", "complete", "confirm", "convert", "create",
	"deactivate", "delete", "deliver", "disable", "enable", "expire", "fail", "generate", "install", "join",
	"publish", "reject", "remove", "restore", "select", "send", "submit", "subscribe", "suspend", "uninstall",
	"unlock", "unsubscribe", "verify"}

// pastOf is the past participle of the verbs that names of events begin with.
var pastOf = sync.OnceValue(func() map[string]string {
	out := map[string]string{
		"begin": "begun", "ban": "banned", "book": "booked", "build": "built", "buy": "bought",
		"cancel": "cancelled", "choose": "chosen", "drag": "dragged", "drop": "dropped", "forget": "forgotten",
		"get": "got", "give": "given", "hide": "hidden", "leave": "left", "log": "logged", "make": "made",
		"deny": "denied", "pay": "paid", "pin": "pinned", "rebuild": "rebuilt", "resend": "resent",
		"scan": "scanned", "see": "seen", "sell": "sold", "send": "sent", "skip": "skipped", "start": "started",
		"stop": "stopped", "submit": "submitted", "swap": "swapped", "tag": "tagged", "take": "taken",
		"tap": "tapped", "transfer": "transferred", "unpin": "unpinned", "undo": "undone", "win": "won",
		"withdraw": "withdrawn", "write": "written",
	}
	for _, verb := range strings.Fields(`abandon accept acknowledge activate add adjust allow analyze append apply
		approve archive arrange ask assess assign attach authenticate authorize avoid browse calculate change check
		clear click close collect compare complete compose compress compute configure confirm connect convert copy
		create customize deactivate decline decrease define delete deliver deploy deprecate describe detach detect
		disable disallow discard disconnect discover dismiss dispatch display donate download duplicate earn edit
		enable encrypt engage enroll enter evaluate execute expand expire explore export extend extract fail fetch
		finish follow generate highlight identify ignore import improve increase initiate insert inspect install
		integrate invite invoke join launch like link listen load lock manage mark mention merge migrate modify move
		mute navigate notify onboard open optimize pause perform pick place play prepare preview print promote
		provide provision publish purchase qualify reach reactivate receive recommend reconnect recover redeem
		redirect refresh refund register reject release reload remind remove rename render renew reopen reorder
		replace reply request reschedule resolve respond restart restore resume retrieve return reveal revoke rotate
		save schedule scroll search select settle share show sign snooze solve sort specify subscribe suspend switch
		sync terminate toggle track transcribe translate type unassign unblock unfollow uninstall unlink unlock
		unmute unpublish unsubscribe update upgrade upload use validate verify view visit wait warn watch zoom`) {
		switch n := len(verb); {
		case verb[n-1] == 'e':
			out[verb] = verb + "d"
		case verb[n-1] == 'y' && !strings.ContainsRune("aeiou", rune(verb[n-2])):
			out[verb] = verb[:n-1] + "ied"
		default:
			out[verb] = verb + "ed"
		}
	}
	out["show"] = "shown"
	return out
})

// isPast reports whether a word in lower case may be a verb in the past.
func isPast(word string) bool {
	if irregularPast()[word] {
		return true
	}
	return len(word) > 3 && strings.HasSuffix(word, "ed") && !notPast()[word]
}

// notPast end in ed and are no verbs in the past.
var notPast = wordSet(`bleed breed creed embed feed greed heed hundred need newsfeed proceed seed sacred shred speed
	succeed exceed weed indeed`)

// irregularPast are verbs in the past that do not end in ed, in both of their forms.
var irregularPast = wordSet(`arisen arose ate awoke awoken beaten became become been began begun bent bet bid bitten
	blew blown bought bound broke broken brought built burnt came cast caught chose chosen clung come cost crept cut
	dealt did done drank drawn dreamt drew driven drove drunk dug eaten fallen fed fell felt fled flew flown
	forbidden forecast forgave forgiven forgot forgotten fought found froze frozen gave given gone got gotten grew
	ground grown had heard held hid hidden hit hung hurt input kept knew known laid lain learnt led left lent let
	lit lost made meant met misread mistaken outdone overdone overridden overrode overseen overtaken overwritten
	paid prepaid proven put quit ran rang read rebuilt redone relaid remade repaid reread rerun resent reset resold
	retaken rewon rewritten ridden risen rode rose run rung said sang sat saw seen sent set shaken shed shone shook
	shot shown shrunk shut slept slid sold sought spent spoken spoke split spread sprung spun stolen stood struck
	stuck stung sung sunk swept sworn swum swung taken taught thought thrown told took torn typeset understood
	undertaken undid undone unread unseen unsent upheld upset went won woken wore worn wound woven withdrawn
	withdrew withheld written wrote`)

// wordSet makes a set of words when it is first asked for.
func wordSet(words string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		out := map[string]bool{}
		for _, w := range strings.Fields(words) {
			out[w] = true
		}
		return out
	})
}
