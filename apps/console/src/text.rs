//! The words of the customer's bank, in every language. The back office and what the API itself says are in English.
//!
//! One row each: the compiler sees to it that no language lacks any.

use crate::locale::Locale;

macro_rules! texts {
    ($($name:ident: $english:literal, $german:literal, $turkish:literal;)*) => {
        /// Something that is said on a page.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Text { $($name,)* }

        impl Text {
            /// The words for it.
            pub fn of(self, locale: Locale) -> &'static str {
                match (self, locale) {
                    $(
                        (Self::$name, Locale::English) => $english,
                        (Self::$name, Locale::German) => $german,
                        (Self::$name, Locale::Turkish) => $turkish,
                    )*
                }
            }
        }
    };
}

impl Text {
    /// The words for a name of the API: a kind, a state, or a reason.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "DEPOSIT" => Self::Deposit,
            "WITHDRAW" => Self::Withdraw,
            "TRANSFER" => Self::Transfer,
            "PENDING" => Self::Pending,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "OPEN" => Self::Open,
            "CLOSING" => Self::Closing,
            "CLOSED" => Self::Closed,
            "INSUFFICIENT_FUNDS" => Self::InsufficientFunds,
            "ACCOUNT_CLOSED" => Self::AccountClosed,
            "CURRENCY_MISMATCH" => Self::CurrencyMismatch,
            "BALANCE_TOO_LARGE" => Self::BalanceTooLarge,
            "BALANCE_NOT_ZERO" => Self::BalanceNotZero,
            _ => return None,
        })
    }
}

texts! {
    About: "About the bank", "Über die Bank", "Banka hakkında";
    AccountClosed: "The account is closed.", "Das Konto ist geschlossen.", "Hesap kapalı.";
    AccountId: "Account number", "Kontonummer", "Hesap numarası";
    AccountName: "Name of the account", "Name des Kontos", "Hesabın adı";
    AccountNameHint: "For you alone, such as “Savings”.", "Nur für Sie, etwa „Erspartes“.", "Yalnızca sizin için, örneğin “Birikim”.";
    AccountNotOpen: "The account is not open.", "Das Konto ist nicht offen.", "Hesap açık değil.";
    Accounts: "Accounts", "Konten", "Hesaplar";
    AllKinds: "Everything", "Alles", "Hepsi";
    Amount: "Amount", "Betrag", "Tutar";
    Asked: "Asked for", "Beauftragt", "İstendi";
    Back: "Back to the bank", "Zurück zur Bank", "Bankaya dön";
    BackOffice: "Back office", "Leitstand", "Operasyon";
    BalanceAfter: "Balance after", "Stand danach", "Sonraki bakiye";
    BalanceNotZero: "There is still money in the account.", "Auf dem Konto ist noch Geld.", "Hesapta hâlâ para var.";
    BalanceOverTime: "Balance", "Kontostand", "Bakiye";
    BalanceTooLarge: "The account cannot hold so much.", "So viel fasst das Konto nicht.", "Hesap bu kadarını tutamaz.";
    Bank: "Digital Bank", "Digital Bank", "Digital Bank";
    BeingOpened: "being opened …", "wird eröffnet …", "açılıyor …";
    Busy: "The bank is busy", "Die Bank ist überlastet", "Banka yoğun";
    BusyWhy: "Nothing was lost. Please try again in a moment.", "Nichts ging verloren. Bitte versuchen Sie es gleich noch einmal.", "Hiçbir şey kaybolmadı. Lütfen birazdan yeniden deneyin.";
    Cancel: "Cancel", "Abbrechen", "Vazgeç";
    CloseAccount: "Close the account", "Konto schließen", "Hesabı kapat";
    CloseWhy: "An account can be closed once nothing is left in it. Its history stays.", "Ein Konto lässt sich schließen, wenn nichts mehr darauf ist. Die Umsätze bleiben erhalten.", "Bir hesap, içinde para kalmadığında kapatılabilir. Hareketleri saklanır.";
    Closed: "Closed", "Geschlossen", "Kapalı";
    ClosedAccounts: "Closed accounts", "Geschlossene Konten", "Kapalı hesaplar";
    Closing: "Closing", "Wird geschlossen", "Kapanıyor";
    Code: "Code", "Code", "Kod";
    CodeSent: "If the address is known to the bank, a letter with a code is on its way to it.", "Wenn die Bank die Adresse kennt, ist ein Brief mit einem Code dorthin unterwegs.", "Banka bu adresi tanıyorsa, kod içeren bir e-posta yola çıktı.";
    Completed: "Completed", "Ausgeführt", "Tamamlandı";
    Confirm: "Confirm", "Bestätigen", "Onayla";
    ConfirmTitle: "Confirm your address", "Adresse bestätigen", "Adresinizi onaylayın";
    Copied: "Copied", "Kopiert", "Kopyalandı";
    Copy: "Copy", "Kopieren", "Kopyala";
    CrossSiteWhy: "Another site sent this in your name.", "Eine andere Seite hat das in Ihrem Namen geschickt.", "Bunu sizin adınıza başka bir site gönderdi.";
    Currency: "Currency", "Währung", "Para birimi";
    CurrencyMismatch: "The currencies do not match.", "Die Währungen passen nicht zusammen.", "Para birimleri uyuşmuyor.";
    Days: "days", "Tage", "gün";
    Deposit: "Deposit", "Einzahlung", "Para yatırma";
    Description: "Note", "Verwendungszweck", "Açıklama";
    Details: "Details", "Einzelheiten", "Ayrıntılar";
    Email: "Email", "E-Mail", "E-posta";
    EmailTaken: "Somebody has signed up with this address already.", "Mit dieser Adresse ist schon jemand angemeldet.", "Bu adresle zaten kayıt olunmuş.";
    Ended: "Done", "Erledigt", "Sonuçlandı";
    Failed: "Failed", "Fehlgeschlagen", "Başarısız";
    ForgotLead: "Tell your address, and a code for a new password is sent to it.", "Nennen Sie Ihre Adresse, und es kommt ein Code für ein neues Passwort.", "Adresinizi yazın; yeni parola için bir kod gönderilir.";
    ForgotPassword: "Forgotten password", "Passwort vergessen", "Parolamı unuttum";
    From: "From", "Von", "Başlangıç";
    FromAccount: "From account", "Von Konto", "Hangi hesaptan";
    HaveAccount: "I have an account", "Ich habe ein Konto", "Hesabım var";
    History: "History", "Umsätze", "Hareketler";
    HowItWorks: "How it works", "So funktioniert es", "Nasıl çalışır";
    InsufficientFunds: "There is not enough money in the account.", "Auf dem Konto ist nicht genug Geld.", "Hesapta yeterli para yok.";
    InvalidAmount: "The amount cannot be read, or is not possible in this currency.", "Der Betrag ist nicht lesbar oder in dieser Währung nicht möglich.", "Tutar okunamıyor ya da bu para biriminde mümkün değil.";
    ItsWay: "Its way through the bank", "Der Weg durch die Bank", "Bankadaki yolu";
    Kind: "Kind", "Art", "Tür";
    Letters: "Letters", "Briefe", "E-postalar";
    LettersOff: "Send no more letters", "Keine Briefe mehr schicken", "Artık gönderme";
    LettersOn: "Send letters", "Briefe schicken", "Gönder";
    LettersWhy: "A letter to your address when money leaves an account of yours, or one is closed.", "Ein Brief an Ihre Adresse, wenn Geld von einem Ihrer Konten geht oder eines geschlossen wird.", "Bir hesabınızdan para çıktığında ya da bir hesabınız kapandığında adresinize e-posta.";
    LookAgain: "Look again", "Noch einmal nachsehen", "Yeniden bak";
    MarkRead: "Mark as read", "Als gelesen markieren", "Okundu say";
    MoveMoney: "Move money", "Geld bewegen", "Para işlemleri";
    Navigation: "Main", "Hauptmenü", "Ana menü";
    NewAccount: "Open an account", "Konto eröffnen", "Hesap aç";
    NewPassword: "New password", "Neues Passwort", "Yeni parola";
    NoAccounts: "You have no open account yet.", "Sie haben noch kein offenes Konto.", "Henüz açık hesabınız yok.";
    NotClosed: "The account could not be closed:", "Das Konto konnte nicht geschlossen werden:", "Hesap kapatılamadı:";
    NotFound: "There is nothing here", "Hier ist nichts", "Burada bir şey yok";
    NotFoundWhy: "What you looked for does not exist, or is not yours.", "Was Sie suchen, gibt es nicht, oder es gehört Ihnen nicht.", "Aradığınız şey yok ya da size ait değil.";
    NothingYet: "Nothing yet.", "Noch nichts.", "Henüz bir şey yok.";
    Notifications: "Notifications", "Nachrichten", "Bildirimler";
    Older: "Older", "Ältere", "Daha eski";
    Open: "Open", "Offen", "Açık";
    OpenAnAccount: "Become a customer", "Kunde werden", "Müşteri ol";
    Opened: "Opened", "Eröffnet", "Açılış";
    OperatorsOnly: "For operators only", "Nur für Mitarbeiter der Bank", "Yalnızca banka çalışanları için";
    OperatorsOnlyWhy: "You are not signed in as somebody who may see this.", "Sie sind nicht als jemand angemeldet, der das sehen darf.", "Bunu görebilecek biri olarak oturum açmadınız.";
    Password: "Password", "Passwort", "Parola";
    PasswordHint: "8 to 128 characters that are not easy to guess.", "8 bis 128 Zeichen, die nicht leicht zu erraten sind.", "Tahmin edilmesi zor, 8 ile 128 arası karakter.";
    PayeeHint: "One of your own, or an account number that somebody gave you.", "Eines von Ihren, oder eine Kontonummer, die Sie bekommen haben.", "Kendi hesabınız ya da size verilen bir hesap numarası.";
    Pending: "Pending", "In Arbeit", "Bekliyor";
    PromiseExact: "Exact to the cent", "Auf den Cent genau", "Kuruşu kuruşuna";
    PromiseExactWhy: "Every amount is a whole number of its currency’s smallest unit. Nothing is rounded, and the books always sum to zero.", "Jeder Betrag ist eine ganze Zahl der kleinsten Einheit seiner Währung. Nichts wird gerundet, und die Bücher ergeben immer null.", "Her tutar, para biriminin en küçük biriminin tam sayısıdır. Hiçbir şey yuvarlanmaz; defterlerin toplamı her zaman sıfırdır.";
    PromiseLive: "As it happens", "Im selben Augenblick", "Anında";
    PromiseLiveWhy: "Watch your money on its way through the bank, from your click to the ledger and back, in milliseconds.", "Sehen Sie Ihrem Geld auf dem Weg durch die Bank zu: von Ihrem Klick ins Hauptbuch und zurück, in Millisekunden.", "Paranızın bankadaki yolunu izleyin: tıklamanızdan deftere ve geri, milisaniyeler içinde.";
    PromiseSafe: "Never twice", "Niemals doppelt", "Asla iki kez";
    PromiseSafeWhy: "A second click, a lost connection, a power cut: what you asked for happens once, or you are told why not.", "Ein zweiter Klick, eine verlorene Verbindung, ein Stromausfall: Was Sie beauftragen, geschieht einmal, oder Sie erfahren, warum nicht.", "İkinci bir tıklama, kopan bağlantı, elektrik kesintisi: istediğiniz bir kez olur ya da neden olmadığı söylenir.";
    Reference: "Reference", "Aktenzeichen", "Referans";
    Refused: "That was not possible", "Das war nicht möglich", "Bu mümkün olmadı";
    RefusedWhy: "The bank did not do what was asked.", "Die Bank hat den Auftrag nicht ausgeführt.", "Banka isteneni yapmadı.";
    SameAccount: "Both accounts are the same.", "Beide Konten sind dasselbe.", "İki hesap aynı.";
    SendCode: "Send a code", "Code schicken", "Kod gönder";
    SetPassword: "Set the password", "Passwort setzen", "Parolayı değiştir";
    Settings: "Settings", "Einstellungen", "Ayarlar";
    Show: "Show", "Zeigen", "Göster";
    SignIn: "Sign in", "Anmelden", "Giriş yap";
    SignOut: "Sign out", "Abmelden", "Çıkış yap";
    SignOutEverywhere: "Sign out everywhere", "Überall abmelden", "Her yerde çıkış yap";
    SignOutEverywhereWhy: "On every device on which you are signed in, this one included.", "Auf jedem Gerät, auf dem Sie angemeldet sind, auch auf diesem.", "Oturum açtığınız her cihazda, bu cihaz dahil.";
    SignUp: "Sign up", "Registrieren", "Kaydol";
    SignUpLead: "An email address and a password are all it takes.", "Eine E-Mail-Adresse und ein Passwort genügen.", "Bir e-posta adresi ve bir parola yeterli.";
    SignedInAs: "Signed in as", "Angemeldet als", "Oturum açan";
    SkipToContent: "Skip to the content", "Zum Inhalt", "İçeriğe geç";
    Statement: "Statement (CSV)", "Auszug (CSV)", "Ekstre (CSV)";
    ToAccount: "To account", "Auf Konto", "Hangi hesaba";
    ToTheAccount: "To the account", "Zum Konto", "Hesaba git";
    TooMany: "Too many requests", "Zu viele Anfragen", "Çok fazla istek";
    TooManyWhy: "Please wait a moment and try again.", "Bitte warten Sie einen Moment und versuchen Sie es noch einmal.", "Lütfen biraz bekleyip yeniden deneyin.";
    Transfer: "Transfer", "Überweisung", "Havale";
    Unreachable: "The bank cannot be reached", "Die Bank ist nicht zu erreichen", "Bankaya ulaşılamıyor";
    UnreachableWhy: "Please try again in a moment. What you sent can be sent again: nothing happens twice.", "Bitte versuchen Sie es gleich noch einmal. Was Sie geschickt haben, können Sie noch einmal schicken: Nichts geschieht doppelt.", "Lütfen birazdan yeniden deneyin. Gönderdiğinizi yeniden gönderebilirsiniz: hiçbir şey iki kez olmaz.";
    Unread: "Unread", "Ungelesen", "Okunmadı";
    Until: "Until", "Bis", "Bitiş";
    WeakPassword: "The password is too easy to guess.", "Das Passwort ist zu leicht zu erraten.", "Parola çok kolay tahmin edilebilir.";
    Welcome: "Welcome", "Willkommen", "Hoş geldiniz";
    WelcomeLead: "Accounts in any currency, deposits, withdrawals and transfers that are done while you watch.", "Konten in jeder Währung, Einzahlungen, Auszahlungen und Überweisungen, die geschehen, während Sie zusehen.", "Her para biriminde hesaplar; siz izlerken gerçekleşen yatırma, çekme ve havaleler.";
    WelcomeTitle: "Money that moves while you watch.", "Geld, das sich vor Ihren Augen bewegt.", "Gözünüzün önünde hareket eden para.";
    What: "What", "Was", "İşlem";
    When: "When", "Wann", "Zaman";
    Withdraw: "Withdrawal", "Auszahlung", "Para çekme";
    WrongPassword: "The address or the password is wrong.", "Die Adresse oder das Passwort stimmt nicht.", "Adres ya da parola yanlış.";
}
