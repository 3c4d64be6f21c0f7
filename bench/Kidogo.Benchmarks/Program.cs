// Measurements that need the inside of the process: kernels alone, the float32 peak, the tokenizer. Whole models are timed by `kidogo bench`.
using System.Globalization;
using Kidogo.Benchmarks;

int ThreadsIn(string[] options) => options is ["--threads", string count] ? int.Parse(count, CultureInfo.InvariantCulture) : 1;

switch (args)
{
    case ["kernels"]:
        KernelSpeed.Print();
        return 0;
    case ["products", string tokens, .. string[] options] when options.Length is 0 or 2:
        ProductSpeed.Print(ThreadsIn(options), int.Parse(tokens, CultureInfo.InvariantCulture));
        return 0;
    case ["train-step", .. string[] options]:
        TrainStepSpeed.Print(TrainStepOptions.Parse(options));
        return 0;
    case ["fma-peak", .. string[] options] when options.Length is 0 or 2:
        FmaPeak.Print(ThreadsIn(options));
        return 0;
    case ["embed", string model, .. string[] options] when options.Length is 0 or 2:
        EmbedSpeed.Print(model, ThreadsIn(options));
        return 0;
    case ["route"] or ["route", _]:
        RouteSpeed.Print(args.Length > 1 ? args[1] : null);
        return 0;
    case ["mask", string model]:
        MaskSpeed.Print(model);
        return 0;
    case ["tokenizer", string model, string text]:
        TokenizerSpeed.Print(model, text);
        return 0;
    case ["download", string megabytes, string cut, string rate]:
        DownloadCost.Print(int.Parse(megabytes, CultureInfo.InvariantCulture), int.Parse(cut, CultureInfo.InvariantCulture), double.Parse(rate, CultureInfo.InvariantCulture));
        return 0;
    default:
        Console.Error.WriteLine("""
            Kidogo.Benchmarks kernels                  operations a second of every kernel alone, one thread, in processor time
            Kidogo.Benchmarks products TOKENS [--threads N]   float32 operations a second of the three products of a linear layer in training
            Kidogo.Benchmarks train-step [--threads N] [--batch N] [--tokens N] ...   tokens and float32 operations a second of training a decoder on random ids, beside the peak
            Kidogo.Benchmarks fma-peak [--threads N]   float32 operations a second that N threads reach on registers
            Kidogo.Benchmarks embed MODEL [--threads N]   texts a second of an encoder: 32 texts of 8 to 128 random ids, sorted by length
            Kidogo.Benchmarks route [ENCODER]          milliseconds that the router takes for a request, without and with an encoder
            Kidogo.Benchmarks mask MODEL               milliseconds a token of holding an answer to JSON
            Kidogo.Benchmarks download MB CUT RATE     bytes that a download of MB takes over a line that is cut every CUT MB and takes RATE MB/s
            Kidogo.Benchmarks tokenizer MODEL TEXT     megabytes a second from text to ids, one thread
            """);
        return 2;
}
