/// The formats of strings that are held, as bodies of rules: each writes a part of what the format allows.
enum StringFormat {
    static let bodies: [String: String] = [
        "date": date,
        "time": time,
        "date-time": "\(date) \"T\" \(time)",
        "uuid": "\(hex){8} \"-\" \(hex){4} \"-\" \(hex){4} \"-\" \(hex){4} \"-\" \(hex){12}",
        "ipv4": "\(byte) ( \".\" \(byte) ){3}",
        "email": "[a-z0-9] [a-z0-9_-]{0,29} ( \".\" [a-z0-9_-]{1,30} )? \"@\" \(host)",
        "hostname": host,
        "uri": "\"http\" \"s\"? \"://\" \(host) ( \"/\" [a-zA-Z0-9_.~-]{0,40} ){0,8}",
    ]

    private static let hex = "[0-9a-f]"
    private static let byte = "( \"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9] [0-9] | [1-9] [0-9] | [0-9] )"
    /// RFC 3339; the 29th of February is left out, because it depends on the year.
    private static let date =
        "( [1-9] [0-9]{3} \"-\" ( ( \"0\" [13578] | \"1\" [02] ) \"-\" ( \"0\" [1-9] | [12] [0-9] | \"3\" [01] )"
        + " | ( \"0\" [469] | \"11\" ) \"-\" ( \"0\" [1-9] | [12] [0-9] | \"30\" )"
        + " | \"02-\" ( \"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8] ) ) )"
    private static let hour = "( [01] [0-9] | \"2\" [0-3] )"
    private static let time =
        "\(hour) \":\" [0-5] [0-9] \":\" [0-5] [0-9] ( \".\" [0-9]{1,6} )? ( \"Z\" | [-+] \(hour) \":\" [0-5] [0-9] )"
    private static let label = "[a-z] [a-z0-9]{0,20} ( \"-\" [a-z0-9]{1,20} )?"
    private static let host = "\(label) ( \".\" \(label) ){1,4}"
}
